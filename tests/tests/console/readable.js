// What makes the open page hard to read: text with too little contrast (WCAG 1.4.3), a page that scrolls sideways
// (1.4.10), fields without a label, targets too small to hit (2.5.8). A list of sentences.
const faults = [];
const root = document.documentElement;
const beyond = root.scrollWidth - root.clientWidth;
if (beyond > 0) {
  const wide = [...document.querySelectorAll("main *, header *")].filter(
    (e) => e.getBoundingClientRect().right > root.clientWidth + 1 && !e.closest(".scroll, pre"));
  const names = wide.slice(0, 3).map((e) => `${e.tagName.toLowerCase()}.${e.getAttribute("class") ?? ""}`);
  faults.push(`scrolls sideways by ${beyond} pixels: ${names.join(", ")}`);
}
const canvas = document.createElement("canvas");
canvas.width = canvas.height = 1;
const pen = canvas.getContext("2d", { willReadFrequently: true });
const colour = (css) => {
  pen.clearRect(0, 0, 1, 1);
  pen.fillStyle = css;
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data];
};
const over = (top, below) => top.slice(0, 3).map((c, i) => (c * top[3] + below[i] * (255 - top[3])) / 255);
const ground = (element) => {
  const layers = [];
  for (let e = element; e; e = e.parentElement) layers.push(colour(getComputedStyle(e).backgroundColor));
  return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
};
const light = (rgb) => {
  const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a, b) => {
  const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
};
const seen = new Set();
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || seen.has(element) || element.closest(".unseen, .skip")) continue;
  seen.add(element);
  const style = getComputedStyle(element);
  if (!element.checkVisibility() || element.getClientRects().length === 0) continue;
  const below = ground(element);
  const ink = element instanceof SVGElement ? style.fill : style.color;
  const ratio = contrast(over(colour(ink), below), below);
  if (ratio < 4.5) faults.push(`contrast ${ratio.toFixed(2)}: "${walker.currentNode.data.trim().slice(0, 40)}"`);
}
for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
  if (!field.labels?.length && !field.getAttribute("aria-label")) faults.push(`a field without a label: ${field.name}`);
}
for (const target of document.querySelectorAll("button, input:not([type=hidden]), select, summary")) {
  const box = target.getBoundingClientRect();
  if (box.width > 0 && (box.width < 24 || box.height < 24)) {
    faults.push(`a target of ${Math.round(box.width)} × ${Math.round(box.height)}: ${target.textContent.slice(0, 30)}`);
  }
}
return faults;
