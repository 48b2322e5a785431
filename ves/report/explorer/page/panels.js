// The pictures: a heatmap for each model, its marks, and how a spot of it is chosen.
"use strict";

// One panel a model: the picture, its light over it, the outline of what is named, a dot on the hottest patch and a square
// about the chosen one.
function showPanels(page, clip) {
  const panels = {};
  $("runs").replaceChildren(element("legend", {}, "Models"));
  const plain = element("img", { src: clip.picture, alt: clip.gloss ? `Picture: ${clip.gloss}` : "The picture" });
  const uncovered = element("div", { className: "stage" }, plain);
  uncovered.style.aspectRatio = `${clip.size[0]} / ${clip.size[1]}`;
  $("panels").replaceChildren(element("figure", {}, element("figcaption", {}, "picture"), uncovered));
  Object.keys(clip.runs).forEach((run, number) => {
    const canvas = element("canvas", { ariaHidden: "true" });
    const mark = element("div", { className: "mark" });
    const pick = element("div", { className: "pick", hidden: true });
    const image = element("img", { src: clip.picture, alt: "" });
    const flat = element("span", { className: "flat", hidden: true }, "flat");
    const named = element("img", { className: "named", alt: "", hidden: true });
    const over = [image, canvas, named, mark, pick, flat];
    const stage = element("div", { className: "stage heated", tabIndex: 0, role: "group" }, ...over);
    stage.ariaLabel = `Heatmap of ${run}. Arrow keys choose a spot: the moments that are like it light up.`;
    stage.style.aspectRatio = `${clip.size[0]} / ${clip.size[1]}`;
    const [left, top, width, height] = clip.square.map((share) => `${100 * share}%`);
    Object.assign(canvas.style, { left, top, width, height });
    const verdict = element("span");
    const caption = element("figcaption", {}, `${run} `, verdict);
    const figure = element("figure", { hidden: page.hidden.has(run) }, caption, stage);
    feel(page, run, stage, clip);
    const box = element("input", { type: "checkbox", checked: !page.hidden.has(run) });
    box.onchange = () => {
      if (box.checked) page.hidden.delete(run);
      else page.hidden.add(run);
      figure.hidden = !box.checked;
    };
    $("runs").append(element("label", {}, box, ` ${run} `, element("kbd", {}, String(number + 1))));
    $("panels").append(figure);
    panels[run] = { canvas, mark, pick, flat, named, verdict, box };
  });
  return panels;
}

// Whether the most similar patch lies on what the chosen word names: true, false, or null where that is not known.
function showVerdict({ verdict }, right) {
  verdict.textContent = right === null ? "" : right ? "✓ right" : "✗ wrong";
  verdict.className = right ? "right" : "wrong";
}

// The outline of an object: the address of its picture, or undefined for none.
function showNamed({ named }, outline) {
  named.hidden = outline === undefined;
  if (outline !== undefined && named.getAttribute("src") !== outline) named.src = outline;
}

// A pointer over a picture chooses a patch; a tap, a click or an arrow key holds it.
function feel(page, run, stage, clip) {
  const patchAt = (event) => {
    const box = stage.getBoundingClientRect();
    const [left, top, width, height] = clip.square;
    const column = Math.floor((((event.clientX - box.left) / box.width - left) / width) * clip.grid[1]);
    const row = Math.floor((((event.clientY - box.top) / box.height - top) / height) * clip.grid[0]);
    const inside = column >= 0 && column < clip.grid[1] && row >= 0 && row < clip.grid[0];
    return inside ? row * clip.grid[1] + column : null;
  };
  const choose = (event, held) => {
    const patch = patchAt(event);
    page.patch = patch === null ? null : { run, patch, held };
    page.draw();
  };
  stage.addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse" && !page.patch?.held) choose(event, false);
  });
  stage.addEventListener("pointerleave", () => {
    if (page.patch && !page.patch.held) choose({ clientX: -1e9, clientY: 0 }, false);
  });
  stage.addEventListener("click", (event) => {
    const same = page.patch?.held && page.patch.run === run && page.patch.patch === patchAt(event);
    if (same) page.letGo();
    else choose(event, true);
  });
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  stage.addEventListener("keydown", (event) => {
    if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation(); // elsewhere these keys move the playhead
    const [rows, columns] = clip.grid;
    const from = page.patch?.run === run ? page.patch.patch : page.hottest(run);
    const row = Math.min(Math.max(Math.floor(from / columns) + steps[event.key][0], 0), rows - 1);
    const column = Math.min(Math.max((from % columns) + steps[event.key][1], 0), columns - 1);
    page.patch = { run, patch: row * columns + column, held: true };
    page.draw();
  });
}

// Lay a square over a patch.
function place(square, heat, [left, top, width, height], patch) {
  square.style.left = `${100 * (left + (width * (patch % heat.columns)) / heat.columns)}%`;
  square.style.top = `${100 * (top + (height * Math.floor(patch / heat.columns)) / heat.rows)}%`;
  square.style.width = `${(100 * width) / heat.columns}%`;
  square.style.height = `${(100 * height) / heat.rows}%`;
}
