// The fault table. `nodes`: of the cluster. `targets`: whom it meets. `deed`: what is done to them; `holdSeconds`: how
// long they stay dead or frozen before they are started or woken again; `times`: how often, default once.
// `beforeWriter`: the writer starts while they are away. The names are what CASE= takes.
export const cases = [
  { name: 'kill-leader', title: '`kill -9` of a leader', nodes: 3, targets: 'leader', deed: 'kill', holdSeconds: 15 },
  { name: 'freeze-leader', title: 'freeze of a leader', nodes: 3, targets: 'leader', deed: 'freeze', holdSeconds: 20 },
  { name: 'kill-first-bootstrap', title: '`kill -9` of the first bootstrap broker', nodes: 3, targets: 'first bootstrap', deed: 'kill', holdSeconds: 15 },
  { name: 'freeze-first-bootstrap', title: 'freeze of the first bootstrap broker', nodes: 3, targets: 'first bootstrap', deed: 'freeze', holdSeconds: 20 },
  { name: 'kill-controller', title: '`kill -9` of the controller', nodes: 3, targets: 'controller', deed: 'kill', holdSeconds: 15 },
  { name: 'freeze-controller', title: 'freeze of the controller', nodes: 3, targets: 'controller', deed: 'freeze', holdSeconds: 20 },
  { name: 'kill-two', title: '`kill -9` of two of three', nodes: 3, targets: 'two', deed: 'kill', holdSeconds: 20 },
  { name: 'freeze-two', title: 'freeze of two of three', nodes: 3, targets: 'two', deed: 'freeze', holdSeconds: 20 },
  { name: 'kill-cluster', title: '`kill -9` of the whole cluster', nodes: 3, targets: 'all', deed: 'kill', holdSeconds: 60 },
  { name: 'rolling-restart', title: 'rolling restart', nodes: 3, targets: 'one by one', deed: 'restart', holdSeconds: 0 },
  { name: 'kill-single', title: 'single node: `kill -9` and start', nodes: 1, targets: 'all', deed: 'kill', holdSeconds: 2, times: 3 },
  { name: 'freeze-single', title: 'single node: freeze', nodes: 1, targets: 'all', deed: 'freeze', holdSeconds: 20 },
  { name: 'away-at-start', title: 'single node: away when the writer starts', nodes: 1, targets: 'all', deed: 'kill', holdSeconds: 15, beforeWriter: true },
];

/** Together more than a million. */
export const acknowledgedPerCase = 80_000;
