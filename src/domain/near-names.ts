/** Up to three of the known names that `name` may be a misspelling of, the nearest first. */
export function nearNames(name: string, known: Iterable<string>): readonly string[] {
  const wanted = name.toLowerCase();
  const farthest = Math.min(3, Math.max(1, Math.floor(wanted.length / 3)));
  return [...known]
    .map((candidate) => ({ candidate, distance: editDistance(wanted, candidate.toLowerCase(), farthest) }))
    .filter(({ distance }) => distance <= farthest)
    .sort((one, other) => one.distance - other.distance || (one.candidate < other.candidate ? -1 : 1))
    .slice(0, 3)
    .map(({ candidate }) => candidate);
}

/** The least number of letters to add, drop or change (Levenshtein); `farthest + 1` when the lengths alone say more. */
function editDistance(one: string, other: string, farthest: number): number {
  if (Math.abs(one.length - other.length) > farthest) return farthest + 1;
  let above = Array.from({ length: other.length + 1 }, (_, column) => column);
  for (let row = 1; row <= one.length; row++) {
    const current = [row];
    for (let column = 1; column <= other.length; column++) {
      const change = one[row - 1] === other[column - 1] ? 0 : 1;
      current.push(Math.min((above[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, (above[column - 1] ?? 0) + change));
    }
    above = current;
  }
  return above[other.length] ?? 0;
}
