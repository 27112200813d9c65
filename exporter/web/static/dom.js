// Builds elements out of text. Whatever an API sent is set as text and never read as markup.

const SVG = "http://www.w3.org/2000/svg";

/** Makes an element. Attributes that are null, undefined or false are left out; children may be text. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

/** Sets an element's text if it is another one, so that nothing is drawn for nothing. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Replaces what is inside an element. */
export function fill(element, ...children) {
  element.replaceChildren(...children.filter((child) => child !== null && child !== undefined && child !== ""));
}

// Each status has a shape of its own, so that no one needs to tell colors apart.
const SHAPES = {
  pending: "M8 2.500a5.500 5.500 0 1 0 0 11a5.500 5.500 0 0 0 0-11zm0 2v3.700l2.400 1.600",
  running: "M5 3.200v9.600l8-4.800z",
  suspended: "M4.500 3v10M11.500 3v10",
  success: "M2.800 8.600l3.400 3.400l7-7.700",
  warning: "M8 2.200l6.300 11.300h-12.600zM8 6.600v3.200M8 11.600v.3",
  error: "M3.500 3.500l9 9M12.500 3.500l-9 9",
  timed_out: "M4 2.500h8M4 13.500h8M4.800 2.800c0 3.200 6.400 7 6.400 10.400M11.200 2.800c0 3.200-6.400 7-6.400 10.400",
  cancelled: "M8 2.500a5.500 5.500 0 1 0 0 11a5.500 5.500 0 0 0 0-11zM4.200 11.800l7.600-7.600",
  skipped: "M3 3.500l5 4.500l-5 4.500M9 3.500l5 4.500l-5 4.500",
  unknown: "M5.300 5.700c0-3.800 5.600-3.600 5.400-.2c-.1 2-2.700 2-2.700 4.300M8 12.600v.3",
};

/** A status as a shape with its word. */
export function pill(status) {
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", SHAPES[status] ?? SHAPES.unknown);
  const shape = document.createElementNS(SVG, "svg");
  shape.setAttribute("viewBox", "0 0 16 16");
  shape.setAttribute("aria-hidden", "true");
  shape.append(path);
  const known = status in SHAPES ? status : "unknown";
  return el("span", { class: `pill ${known}` }, shape, status.replace("_", " "));
}

/** A progress bar with its percentage; nothing where no progress is told. */
export function bar(progress, name) {
  if (progress === undefined || progress === null) return null;
  const percent = `${Math.floor(progress * 100 + 1e-9)} %`;
  const label = `Progress of ${name}`;
  return el(
    "span",
    { class: "bar" },
    el("progress", { max: 1, value: progress, "aria-label": label }, percent),
    el("span", { class: "percent", "aria-hidden": "true" }, percent),
  );
}

/** A text that changes with the clock: "since" tells the time since a moment, "left" the time until it, "ago" both. */
export function clock(kind, milliseconds, attributes = {}) {
  return el("span", { ...attributes, "data-clock": kind, "data-at": milliseconds });
}

/** A button that copies a text, which is fetched when it is pressed. */
export function copyButton(read, label) {
  const button = el("button", { type: "button", class: "copy", "aria-label": label }, "Copy");
  button.addEventListener("click", async () => {
    const copied = await copy(read());
    setText(button, copied ? "Copied" : "Press Ctrl+C");
    setTimeout(() => setText(button, "Copy"), 2000);
  });
  return button;
}

async function copy(text) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // A browser may refuse; the older way is tried.
    }
  }
  const area = el("textarea", { class: "unseen", readonly: true });
  area.value = text;
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy"); // The only way there is on plain HTTP.
  area.remove();
  return copied;
}
