// The page of all sources and tasks: takes in what changed, and draws only that.

import { bar, clock, el, fill, pill, setText } from "./dom.js";
import { Filters } from "./filters.js";
import { follow } from "./feed.js";
import { Sources } from "./sources.js";
import { address, base, count, counted, duration, moment, tick, title } from "./words.js";

const PAGE = 100; // So many rows are drawn at first, and so many more each time that the end comes into sight.
const $ = (id) => document.getElementById(id);

const tasks = new Map();
const rows = new Map();
const groups = [group("In progress"), group("Ended")];
const filters = new Filters($("filters"), () => {
  limit = PAGE;
  sources.mark();
  draw(true);
});
const sources = new Sources($("sources"), filters);
let limit = PAGE;
let total = 0;
let drawing = 0;
let told = false;

const now = follow(`${base}/api/v1/events`, (news) => {
  if (news.reset) tasks.clear();
  for (const key of news.gone) tasks.delete(keyOf(key));
  for (const task of news.tasks) {
    if (task.age_seconds !== undefined) task.began = Date.parse(news.now) - task.age_seconds * 1000;
    tasks.set(keyOf([task.source, task.task_id, task.run]), task);
  }
  total = news.total;
  told = true;
  sources.update(news);
  schedule();
});
setInterval(() => tick(document, now()), 1000);
$("more").addEventListener("click", showMore);
new IntersectionObserver((seen) => seen.some((entry) => entry.isIntersecting) && showMore(), {
  rootMargin: "600px",
}).observe($("more"));

function keyOf(parts) {
  return parts.join("\u0000");
}

function group(name) {
  const heading = el("th", { role: "rowheader", scope: "rowgroup", colspan: 6 }, name);
  const body = el("tbody", { role: "rowgroup" }, el("tr", { role: "row", class: "group" }, heading));
  document.getElementById("tasks").append(body);
  return { name, heading, body };
}

function showMore() {
  limit += PAGE;
  schedule();
}

/** Draws once, before the browser next paints, however much comes in until then. */
function schedule() {
  if (!drawing) drawing = requestAnimationFrame(() => draw(false));
}

function draw(byUser) {
  cancelAnimationFrame(drawing);
  drawing = 0;
  const all = [...tasks.values()];
  const { shown, counts } = filters.apply(all);
  filters.draw(all, counts);
  const parts = [shown.filter(isUnfinished).sort(byUrgency), shown.filter(isEnded).sort(byEnd)];
  const kept = new Set();
  let left = limit;
  parts.forEach((part, index) => {
    const drawn = part.slice(0, left);
    left -= drawn.length;
    drawGroup(groups[index], part, drawn, kept);
  });
  for (const [key, row] of rows) {
    if (!kept.has(key)) {
      row.element.remove();
      rows.delete(key);
    }
  }
  $("tasks").hidden = shown.length === 0;
  $("more").hidden = left > 0 || shown.length <= limit;
  drawEmpty(shown.length);
  tick(document, now());
  if (byUser) setText($("count"), `${counted(shown.length, "task")} of ${count(tasks.size)}`);
}

function drawGroup({ name, heading, body }, part, drawn, kept) {
  body.hidden = part.length === 0;
  setText(heading, `${name} · ${count(part.length)}`);
  let before = body.firstElementChild;
  for (const task of drawn) {
    const key = keyOf([task.source, task.task_id, task.run]);
    kept.add(key);
    const row = rows.get(key) ?? newRow(key);
    if (row.task !== task) update(row, task);
    if (before.nextElementSibling !== row.element) move(body, row.element, before.nextElementSibling);
    before = row.element;
  }
}

/** Moves a row; where the browser can, without taking the focus from a link in it. */
function move(body, row, next) {
  if (body.moveBefore && row.isConnected) body.moveBefore(row, next);
  else body.insertBefore(row, next);
}

function drawEmpty(shown) {
  const place = $("empty");
  place.hidden = !told || shown > 0;
  if (place.hidden) return;
  if (tasks.size) setText(place, "No task matches these filters.");
  else {
    const command = "asynctask-exporter watch SOURCE TASK_ID";
    fill(place, "No tasks yet. They appear when a source lists them, or when an id is handed over: ", el("code", {}, command));
  }
}

function newRow(key) {
  const cell = (name) => el("td", { role: "cell", class: name });
  const cells = ["status", "task", "progress", "age", "left", "message"].map(cell);
  const row = { element: el("tr", { role: "row" }, ...cells), cells, task: null };
  rows.set(key, row);
  return row;
}

/** Writes those cells of a row that say something else than before. */
function update(row, task) {
  const before = row.task;
  row.task = task;
  const [status, name, progress, age, left, message] = row.cells;
  const differs = (...fields) => !before || fields.some((field) => before[field] !== task[field]);
  if (differs("status", "stalled", "overdue")) fill(status, pill(task.status), ...flags(task));
  if (differs("name", "operation")) fill(name, ...naming(task));
  if (differs("progress", "processed", "expected", "status")) drawProgress(progress, task);
  if (differs("began", "finished_at", "duration_seconds", "status")) fill(age, ...timing(task));
  if (differs("estimated_end_at", "status")) fill(left, remaining(task));
  if (differs("message", "error_code")) fill(message, ...saying(task));
  row.element.className = isFailed(task) ? "failed" : "";
}

function flags(task) {
  return ["stalled", "overdue"].filter((flag) => task[flag]).map((flag) => el("span", { class: "flag" }, flag));
}

function naming(task) {
  const parts = [task.source, task.operation !== title(task) && task.operation].filter(Boolean);
  return [
    el("a", { href: address(task.source, task.task_id), class: "name" }, title(task)),
    el("span", { class: "sub" }, parts.join(" · "), task.name ? el("span", { class: "id" }, task.task_id) : null),
  ];
}

/** Moves the bar that is there, so that it glides. */
function drawProgress(cell, task) {
  const shown = isUnfinished(task) || (isFailed(task) && task.progress > 0) ? task.progress : undefined;
  const old = cell.querySelector("progress");
  if (old && shown !== undefined) {
    old.value = shown;
    const percent = `${Math.floor(shown * 100 + 1e-9)} %`;
    setText(old, percent);
    setText(cell.querySelector(".percent"), percent);
    fill(cell, old.parentElement, records(task));
  } else fill(cell, bar(shown, title(task)), records(task));
}

function records(task) {
  if (task.processed === undefined) return null;
  const of = task.expected === undefined ? "" : ` of ${count(task.expected)}`;
  return el("span", { class: "sub" }, `${count(task.processed)}${of}`);
}

function timing(task) {
  if (isUnfinished(task)) return [clock("since", task.began)];
  const ended = task.finished_at ?? task.status_since;
  return [
    task.duration_seconds === undefined ? null : el("span", {}, `took ${duration(task.duration_seconds)}`),
    clock("ago", Date.parse(ended), { class: "sub", title: moment(ended) }),
  ];
}

function remaining(task) {
  if (!task.estimated_end_at) return null;
  const at = task.estimated_end_at;
  return clock("left", Date.parse(at), { title: `until ${moment(at)}, from its progress and earlier runs` });
}

function saying(task) {
  const code = task.error_code ? el("code", {}, task.error_code) : null;
  return [code, code && task.message ? " " : null, task.message ? el("span", { class: "clamp" }, task.message) : null];
}

const FINAL = new Set(["success", "warning", "error", "timed_out", "cancelled", "skipped"]);

function isEnded(task) {
  return FINAL.has(task.status);
}

function isUnfinished(task) {
  return !FINAL.has(task.status);
}

function isFailed(task) {
  return task.status === "error" || task.status === "timed_out";
}

/** What does not get on comes first, then what runs, then what waits; each newest first. */
function byUrgency(one, other) {
  return urgency(one) - urgency(other) || other.began - one.began || compare(one.task_id, other.task_id);
}

function urgency(task) {
  if (task.stalled || task.overdue) return 0;
  return task.status === "pending" ? 2 : 1;
}

function byEnd(one, other) {
  return compare(endOf(other), endOf(one)) || compare(one.task_id, other.task_id);
}

function endOf(task) {
  return task.finished_at ?? task.status_since;
}

function compare(one, other) {
  return one < other ? -1 : Number(one > other);
}
