/** Progress goes to stderr: stdout carries the DAYBOOK_* lines and nothing else. */
export function say(line) {
  process.stderr.write(`brokers: ${line}\n`);
}
