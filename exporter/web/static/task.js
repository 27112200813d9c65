// The page of one task: everything about it, its log, and what can be done.

import { bar, clock, copyButton, el, fill, pill } from "./dom.js";
import { follow } from "./feed.js";
import { act, logViewer } from "./actions.js";
import { address, base, count, counted, duration, moment, selector, tick, title } from "./words.js";

const FINAL = new Set(["success", "warning", "error", "timed_out", "cancelled", "skipped"]);
const [source, id] = here();
const place = document.getElementById("task");
const drawn = new Map();
let known = null; // What was told of the task last, though it may have left the board since.

document.getElementById("path-id").textContent = id;
const link = document.getElementById("path-source");
link.textContent = source;
link.href = `${base}/?${new URLSearchParams({ source })}`;

const query = new URLSearchParams({ source, task_id: id });
const now = follow(`${base}/api/v1/events?${query}`, (news) => {
  if (news.task) known = news;
  if (known) draw(known, { ...news, onBoard: Boolean(news.task) });
  else drawMissing(news);
  tick(document, now());
});
setInterval(() => tick(document, now()), 1000);

/** The source and the id, from the page's address. */
function here() {
  const path = location.pathname.slice(`${base}/tasks/`.length);
  const end = path.indexOf("/");
  return [path.slice(0, end), path.slice(end + 1)].map(decodeURIComponent);
}

/** Draws a part of the page anew if what it is made of has changed; what a part leaves empty is not shown. */
function part(name, content, build) {
  const text = JSON.stringify(content);
  let section = drawn.get(name);
  if (!section) {
    section = { element: el("section", { class: name }), text: null };
    drawn.set(name, section);
    place.append(section.element);
  }
  if (section.text === text) return;
  section.text = text;
  const built = build(content);
  section.element.hidden = built === null;
  if (built !== null) fill(section.element, ...built);
}

function drawMissing({ source: info }) {
  document.title = `${id} - asynctask-exporter`;
  part("missing", Boolean(info), (exists) => [
    el("h1", {}, id),
    el(
      "p",
      { class: "notice" },
      exists
        ? `Source ${source} has no task ${id} on its board. Ended tasks leave it after a while; what was counted stays in Prometheus.`
        : `There is no source ${source}.`,
    ),
  ]);
  part("queries", { operation: undefined }, queries);
}

function draw({ task, earlier_runs: earlier, usual }, { source: info, onBoard }) {
  if (drawn.has("missing")) {
    place.replaceChildren();
    drawn.clear();
  }
  document.title = `${title(task)} - asynctask-exporter`;
  part("head", [task.name, task.operation, task.status, task.stalled, task.overdue], () => head(task));
  part("state", [onBoard, info?.up, info?.last_error], () => state(onBoard, info));
  part("now", [task.progress, task.duration_seconds, task.processed, task.expected, task.status, task.estimated_end_at, usual], () =>
    present(task, usual),
  );
  part("problem-part", [task.status, task.message, task.error_code, task.detail], () => problem(task));
  part("actions", [info?.acknowledgement, task.run, task.status], () => actions(task, info));
  part("timeline", timeline(task), (steps) => [el("h2", {}, "Timeline"), el("ol", {}, ...steps.map(step))]);
  part("facts", facts(task, info), (pairs) => [
    el("h2", {}, "Facts"),
    el("dl", {}, ...pairs.flatMap(([name, value, link]) => [el("dt", {}, name), el("dd", {}, fact(value, link))])),
  ]);
  part("subtasks", task.subtasks, subtasks);
  part("log", info?.keeps_logs !== false, (keeps) =>
    keeps ? logViewer(logAddress(), () => !FINAL.has(known.task.status)) : null,
  );
  part("earlier", earlier, earlierRuns);
  part("queries", { operation: task.operation }, queries);
}

function head(task) {
  const flags = ["stalled", "overdue"].filter((flag) => task[flag]);
  return [
    el("h1", {}, title(task)),
    el("p", { class: "standing", role: "status" }, pill(task.status), ...flags.map((flag) => el("span", { class: "flag" }, flag))),
  ];
}

function state(onBoard, info) {
  if (!onBoard) return [el("p", { class: "notice" }, "The task has left the board; this is what was known last.")];
  if (info?.up !== false) return null;
  const reason = info.last_error ? `: ${info.last_error}` : "";
  return [el("p", { class: "notice down" }, `The source is down, so this may be out of date${reason}`)];
}

function present(task, usual) {
  const told = [];
  if (task.progress !== null && task.status !== "success") {
    told.push(bar(task.progress, title(task)));
  }
  const words = [];
  if (task.processed !== null) {
    words.push(task.expected === null ? counted(task.processed, "record") : `${count(task.processed)} of ${counted(task.expected, "record")}`);
  }
  if (task.estimated_end_at) {
    words.push(el("span", {}, clock("left", Date.parse(task.estimated_end_at)), ` left, until ${moment(task.estimated_end_at)}`));
  }
  if (task.duration_seconds !== null) words.push(`took ${duration(task.duration_seconds)}`);
  if (usual) {
    const most = `nine of ten within ${duration(usual.most)}`;
    words.push(`usually ${duration(usual.half)}, ${most} (last ${counted(usual.count, "success", "successes")})`);
  }
  if (words.length) told.push(el("ul", { class: "words" }, ...words.map((word) => el("li", {}, word))));
  return told.length ? [el("div", { class: isFailed(task) ? "failed" : null }, ...told)] : null;
}

function problem(task) {
  if (!task.message && !task.detail && !task.error_code) return null;
  const failed = isFailed(task);
  return [
    el("h2", {}, failed ? "Error" : "Message"),
    el(
      "div",
      { class: failed ? "said failed" : "said" },
      task.error_code ? el("p", {}, el("code", {}, task.error_code)) : null,
      task.message ? el("p", {}, task.message) : null,
      task.detail && task.detail !== task.message ? el("pre", { tabindex: 0, "aria-label": "Details" }, task.detail) : null,
    ),
  ];
}

function actions(task, info) {
  if (!isFailed(task) || !info?.acknowledgement) return null;
  return act(`${base}/api/v1/sources/${encodeURIComponent(source)}/tasks/${encodeURIComponent(id)}/acknowledge`);
}

/** The moments of a task in their order; the last one may lie ahead. */
function timeline(task) {
  const ended = FINAL.has(task.status);
  const steps = [
    ["Created", task.created_at],
    ["Started", task.started_at],
    ["First seen here", task.first_seen_at],
    ended ? null : ["Last change", task.last_change_at],
    ended ? [`Ended: ${words(task.status)}`, task.finished_at ?? task.status_since, task.status] : null,
  ].filter((step) => step && step[1]);
  steps.sort((one, other) => Date.parse(one[1]) - Date.parse(other[1]));
  if (task.estimated_end_at) steps.push(["Expected end", task.estimated_end_at, "ahead"]);
  return steps.map(([name, at, kind], index) => {
    const before = index ? (Date.parse(at) - Date.parse(steps[index - 1][1])) / 1000 : 0;
    return { name, at, kind, before };
  });
}

function step({ name, at, kind, before }) {
  return el(
    "li",
    { class: kind },
    el("span", { class: "what" }, name),
    el("time", { datetime: at, title: at }, moment(at)),
    clock("ago", Date.parse(at), { class: "sub" }),
    before >= 0.001 ? el("span", { class: "gap" }, `+${duration(before)}`) : null,
  );
}

function isFailed(task) {
  return task.status === "error" || task.status === "timed_out";
}

function words(status) {
  return status.replace("_", " ");
}

function facts(task, info) {
  const pairs = [
    ["Task id", task.task_id],
    ["Source", source, `${base}/?${new URLSearchParams({ source })}`],
    ["API", info?.api],
    ["Address", info?.url],
    ["Operation", task.operation, `${base}/?${new URLSearchParams({ source, operation: task.operation })}`],
    ["Took", task.duration_seconds === null ? null : duration(task.duration_seconds)],
    ["Part of", task.parent_id, address(source, task.parent_id)],
    ["Run", /^#\d+$/.test(task.run) ? null : task.run], // Numbers are the exporter's own.
    ...Object.entries(info?.labels ?? {}),
  ];
  return pairs.filter(([, value]) => value);
}

function fact(value, link) {
  return link ? el("a", { href: link }, value) : value;
}

function subtasks(all) {
  if (!all.length) return null;
  const ended = all.filter((subtask) => FINAL.has(subtask.status)).length;
  const row = (subtask) =>
    el("tr", {}, el("td", {}, pill(subtask.status)), el("td", {}, subtask.name || subtask.id), el("td", { class: "id" }, subtask.name ? subtask.id : ""));
  return [
    el("h2", {}, `Subtasks · ${count(ended)} of ${count(all.length)} ended`),
    table("Subtasks", ["Status", "Name", "Id"], all.map(row)),
  ];
}

function earlierRuns(runs) {
  if (!runs.length) return null;
  const row = (run) => {
    const end = run.finished_at ?? run.status_since;
    return el("tr", {}, el("td", {}, pill(run.status)), el("td", {}, moment(end)), el("td", {}, took(run)), el("td", {}, run.message));
  };
  return [el("h2", {}, "Earlier runs of this id"), table("Earlier runs", ["Status", "Ended", "Took", "Message"], runs.map(row))];
}

function took(run) {
  return run.duration_seconds === null ? "" : duration(run.duration_seconds);
}

function table(title, names, rows) {
  const heading = el("tr", {}, ...names.map((name) => el("th", { scope: "col" }, name)));
  const region = { class: "scroll", tabindex: 0, role: "region", "aria-label": title };
  return el("div", region, el("table", { class: "plain" }, el("thead", {}, heading), el("tbody", {}, ...rows)));
}

function queries({ operation }) {
  const task = { source, task_id: id };
  const lines = [
    ["Its status", selector("asynctask_task_status", task)],
    ["Its progress", selector("asynctask_task_progress_ratio", task)],
  ];
  if (operation !== undefined) {
    const all = { source, operation };
    lines.push(
      ["Failures of the operation in a day", `sum(increase(${selector("asynctask_errors_total", all)}[1d]))`],
      [
        "What nine of ten runs took at most, in a day",
        `histogram_quantile(0.9, sum by (le) (rate(${selector("asynctask_duration_seconds_bucket", all)}[1d])))`,
      ],
    );
  }
  return [
    el("h2", {}, "In Prometheus"),
    el("ul", {}, ...lines.map(([name, text]) => el("li", {}, el("span", {}, name), el("code", { tabindex: 0 }, text), copyButton(() => text, `Copy: ${name}`)))),
  ];
}

function logAddress() {
  return `${base}/api/v1/sources/${encodeURIComponent(source)}/tasks/${encodeURIComponent(id)}/log`;
}
