// How heat is drawn over a picture: ves/report/drawing/spotlight.py for a browser, with its numbers (`light`).
"use strict";

const SIDE = 180; // about so many pixels has the longer side of a canvas

const within = (value, least, most) => Math.min(Math.max(value, least), most);

class Spotlight {
  // levels of all patches of one heatmap, of a clip's Heat; greatest: rise of those that it is compared with
  constructor(levels, heat, greatest, light) {
    const shown = Float64Array.from(levels.filter((_, patch) => heat.shown[patch])).sort();
    const middle = shown.length / 2;
    this.light = light;
    this.median = (shown[Math.ceil(middle) - 1] + shown[Math.floor(middle)]) / 2;
    this.top = shown[shown.length - 1];
    const rise = heat.cosine(this.top) - heat.cosine(this.median);
    const share = rise / Math.max(greatest, light.least);
    this.strength = Math.sqrt(within((share - light.flat) / (1 - light.flat), 0, 1));
  }

  // 0 at the median and below, 1 at the maximum.
  level(value) {
    return within((value - this.median) / Math.max(this.top - this.median, 1e-6), 0, 1);
  }

  // The opacity of what dims the picture at a level.
  veil(level) {
    const lit = within(level / this.light.lit, 0, 1);
    return this.light.darkest * this.strength * (1 - lit * lit * (3 - 2 * lit));
  }
}

// Along one axis, where pixels, `fine` to a patch, lie between the centres of the patches that show some: [patch below,
// share of the next].
function between(count, fine, shown) {
  const first = shown.indexOf(1);
  const last = shown.lastIndexOf(1);
  return Array.from({ length: count * fine }, (_, pixel) => {
    const at = within((pixel + 0.5) / fine - 0.5, first, last);
    const below = Math.min(Math.floor(at), Math.max(last - 1, first));
    return [below, at - below];
  });
}

// Values of patches as a field of pixels, `fine` to the side of a patch, bilinear between the centres of patches.
function laidOut(values, heat, fine) {
  const across = between(heat.columns, fine, heat.shownColumns);
  const down = between(heat.rows, fine, heat.shownRows);
  const field = new Float32Array(across.length * down.length);
  let pixel = 0;
  for (const [row, below] of down) {
    const next = below > 0 ? heat.columns : 0;
    for (const [column, right] of across) {
      const at = row * heat.columns + column;
      const step = right > 0 ? 1 : 0;
      const upper = values[at] + (values[at + step] - values[at]) * right;
      const lower = values[at + next] + (values[at + next + step] - values[at + next]) * right;
      field[pixel++] = upper + (lower - upper) * below;
    }
  }
  return field;
}

// What is joined to a pixel (by sides) and true: 1 there, 0 elsewhere.
function joined(wide, tall, start, belongs) {
  const found = new Float32Array(wide * tall);
  const ahead = belongs(start) ? [start] : [];
  for (const pixel of ahead) found[pixel] = 1;
  while (ahead.length) {
    const pixel = ahead.pop();
    const x = pixel % wide;
    const sides = [x > 0 ? pixel - 1 : -1, x < wide - 1 ? pixel + 1 : -1, pixel - wide, pixel + wide];
    for (const side of sides) {
      if (side >= 0 && side < found.length && !found[side] && belongs(side)) {
        found[side] = 1;
        ahead.push(side);
      }
    }
  }
  return found;
}

// The mean of each pixel and its two neighbours along one axis; the outermost pixel goes on beyond the edge.
function blurred(field, wide, tall, across) {
  const [length, step] = across ? [wide, 1] : [tall, wide];
  const soft = new Float32Array(field.length);
  for (let pixel = 0; pixel < field.length; pixel++) {
    const place = across ? pixel % wide : (pixel - (pixel % wide)) / wide;
    const before = place > 0 ? field[pixel - step] : field[pixel];
    const after = place < length - 1 ? field[pixel + step] : field[pixel];
    soft[pixel] = (before + field[pixel] + after) / 3;
  }
  return soft;
}

// The spotlight of these levels on a canvas over the square that the model sees; it leaves the picture as it is if the
// moment does not count. Returns whether the heatmap is flat.
function paintSpotlight(canvas, heat, levels, hottest, greatest, light, counts) {
  const fine = Math.max(4, Math.round(SIDE / Math.max(heat.rows, heat.columns)));
  const [wide, tall] = [heat.columns * fine, heat.rows * fine];
  Object.assign(canvas, { width: wide, height: tall });
  const spot = new Spotlight(levels, heat, greatest, light);
  if (!counts || spot.strength === 0) return counts;
  const field = laidOut(levels, heat, fine).map((value) => spot.level(value));
  const middle = (place) => Math.floor((place + 0.5) * fine);
  const start = middle(Math.floor(hottest / heat.columns)) * wide + middle(hottest % heat.columns);
  let soft = joined(wide, tall, start, (pixel) => field[pixel] >= light.region);
  for (const across of [true, false, true, false]) soft = blurred(soft, wide, tall, across);
  const image = canvas.getContext("2d").createImageData(wide, tall);
  field.forEach((level, pixel) => {
    const rim = 4 * soft[pixel] * (1 - soft[pixel]) * spot.strength ** 0.5;
    const veil = spot.veil(level) * (1 - rim);
    const opacity = rim + veil;
    for (const channel of [0, 1, 2]) {
      image.data[4 * pixel + channel] = (light.rim[channel] * rim + light.veil[channel] * veil) / Math.max(opacity, 1e-6);
    }
    image.data[4 * pixel + 3] = Math.round(255 * opacity);
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return false;
}

// From dim to lit, over white, as a legend.
function paintLegend(canvas, light) {
  const spot = Object.assign(Object.create(Spotlight.prototype), { light, median: 0, top: 1, strength: 1 });
  const context = canvas.getContext("2d");
  for (let x = 0; x < canvas.width; x++) {
    context.fillStyle = `rgb(${light.veil.join()}, ${spot.veil(x / (canvas.width - 1))})`;
    context.fillRect(x, 0, 1, canvas.height);
  }
}
