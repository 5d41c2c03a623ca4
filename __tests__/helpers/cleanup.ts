/** What a test opens is closed after it, the latest first. */
type Task = () => unknown;

const tasks: Task[] = [];

/** Runs after the test that is under way, whatever becomes of it. */
export function atEnd(task: Task): void {
  tasks.push(task);
}

afterEach(async () => {
  for (let task = tasks.pop(); task !== undefined; task = tasks.pop()) await task();
});
