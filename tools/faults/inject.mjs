import { setTimeout as pause } from 'node:timers/promises';
import { judgeCanWrite } from './kcat.mjs';

/** Until the controller has noticed: the session of a silent broker lasts 3 s, the vote for another controller 1 to 2 s. */
const noticedMs = 6_000;

/**
 * Does the case's fault to the cluster and undoes it, and proves that it was there: the processes were dead or frozen
 * for the whole time, and the cluster behaved so.
 * @param watch `{ topic, probe, lastAcknowledgedMs(), onInjected?() }`; the second is a topic for kcat
 * @returns for each time `{ injectedMs, returnedMs, kcatMs, hadMajority, proof }`, epoch milliseconds: when it was done,
 *   when the processes were started or woken again, when kcat's first record after that was acknowledged
 */
export async function inject(each, cluster, watch) {
  const outages = [];
  const rounds = each.targets === 'one by one' ? cluster.nodes.map((node) => [node]) : Array.from({ length: each.times ?? 1 }, () => null);
  for (const [index, given] of rounds.entries()) {
    if (index > 0) await pause(3_000); // some writing between two faults
    const targets = given ?? (await choose(each.targets, cluster, watch.topic));
    outages.push(await strike(each, targets, cluster, watch));
    await cluster.whole(watch.topic);
  }
  return outages;
}

async function choose(targets, cluster, topic) {
  const { nodes } = cluster;
  if (targets === 'all') return nodes;
  if (targets === 'two') return nodes.slice(0, 2);
  if (targets === 'first bootstrap') return nodes.slice(0, 1);
  const controller = await cluster.controller();
  if (targets === 'controller') return nodes.filter(({ id }) => id === controller);
  // A leader that is nothing else besides, so that the three cases differ.
  const { leaders } = cluster.topic(topic);
  return nodes.slice(1).filter(({ id }) => id !== controller && leaders.includes(id)).slice(0, 1);
}

async function strike(each, targets, cluster, watch) {
  if (targets.length === 0) throw new Error(`no node is there to be the target "${each.targets}"`);
  const others = cluster.nodes.filter(({ id }) => !targets.some((target) => target.id === id));
  const hadMajority = others.length > cluster.nodes.length / 2;
  const injectedMs = Date.now();
  const state = each.deed === 'freeze' ? 'frozen' : 'dead';
  if (each.deed === 'restart') await cluster.shutDown(targets[0]);
  else await cluster[each.deed](targets);
  const heldMs = each.holdSeconds * 1_000;
  watch.onInjected?.();
  await cluster.hold(targets, state, heldMs);
  const names = `${targets.length === 1 ? 'node' : 'nodes'} ${targets.map(({ id }) => id).join(', ')} ${state}`;
  const seen = heldMs < noticedMs ? 'then started again' : hadMajority ? await proveTakenOver(each, targets, others, cluster, watch) : proveSilence(injectedMs, watch);
  const returnedMs = Date.now();
  if (each.deed === 'freeze') cluster.wake(targets);
  const started = cluster.start();
  started.catch(() => undefined); // awaited below
  const kcatMs = hadMajority ? returnedMs : await judgeCanWrite(cluster.addresses, watch.probe);
  await started;
  return { injectedMs, returnedMs, kcatMs, hadMajority, proof: `${names}, ${seen}` };
}

/** The others no longer count on it. */
async function proveTakenOver(each, targets, others, cluster, { topic }) {
  const ids = targets.map(({ id }) => id);
  const { leaders, inSync } = cluster.topic(topic, others);
  if (leaders.some((leader) => ids.includes(leader))) throw new Error(`node ${ids} still leads partitions of ${topic}`);
  if (inSync.flat().some((id) => ids.includes(id))) throw new Error(`node ${ids} still counts as in sync`);
  const controller = await cluster.controller(others);
  if (ids.includes(controller)) throw new Error(`node ${ids} still counts as the controller`);
  return each.targets === 'controller' ? `node ${controller} became controller` : 'out of every in-sync set';
}

/** Without a majority nothing may be acknowledged; what was on its way may come a moment later. */
function proveSilence(injectedMs, { lastAcknowledgedMs }) {
  const lateMs = lastAcknowledgedMs() - injectedMs;
  if (lateMs > 1_500) throw new Error(`a record was acknowledged ${lateMs} ms after the majority was gone`);
  return 'nothing acknowledged';
}
