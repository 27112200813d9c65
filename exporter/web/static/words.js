// How times, counts and queries are written.

const UNITS = [
  ["d", 86400],
  ["h", 3600],
  ["m", 60],
  ["s", 1],
];

/** Writes seconds with the two units that matter: 42s, 3m 20s, 1h 5m, 2d 4h. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (seconds > 0 && seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))}ms`;
  const first = UNITS.findIndex(([, size]) => whole >= size);
  if (first < 0) return "0s";
  const [unit, size] = UNITS[first];
  const next = UNITS[first + 1];
  const rest = next ? Math.floor((whole % size) / next[1]) : 0;
  return `${Math.floor(whole / size)}${unit}` + (rest ? ` ${rest}${next[0]}` : "");
}

/** What clocks say so many seconds after their moment. */
const CLOCKS = {
  since: (past) => duration(Math.floor(past)),
  left: (past) => (past < 0 ? `about ${duration(Math.ceil(-past))}` : "any moment"),
  ago: (past) => (past < 0 ? `in ${duration(Math.ceil(-past))}` : `${duration(Math.floor(past))} ago`),
};

/** Writes all clocks below an element anew, as by a time in milliseconds. */
export function tick(root, now) {
  for (const element of root.querySelectorAll("[data-clock]")) {
    const text = CLOCKS[element.dataset.clock]((now - Number(element.dataset.at)) / 1000);
    if (element.textContent !== text) element.textContent = text;
  }
}

/** Writes a moment as by the clock of whoever looks; with its date unless that is today. */
export function moment(text) {
  const at = new Date(text);
  const today = at.toDateString() === new Date().toDateString();
  return today ? at.toLocaleTimeString() : at.toLocaleString();
}

/** Writes a number with its thousands apart. */
export function count(number) {
  return number.toLocaleString("en").replaceAll(",", "\u2009");
}

/** Writes a count of things. */
export function counted(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** What a person calls a task. */
export function title(task) {
  return task.name || (task.operation ? `${task.operation} ${task.task_id}` : task.task_id);
}

/** What every path of the exporter begins with, as browsers see it. */
export const base = document.documentElement.dataset.base;

/** The address of a task's own page. */
export function address(source, id) {
  return `${base}/tasks/${encodeURIComponent(source)}/${encodeURIComponent(id)}`;
}

/** A PromQL selector; label values are quoted as PromQL has it. */
export function selector(name, labels) {
  const quoted = Object.entries(labels).map(([label, value]) => `${label}="${quote(value)}"`);
  return `${name}{${quoted.join(", ")}}`;
}

function quote(value) {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
