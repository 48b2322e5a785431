// The numbers of one clip: similarity of each audio token to each patch, as heat of patches and as light of moments.
"use strict";

const bytes = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

class Heat {
  // clip: its data, as Python writes them (ves/report/explorer/clip.py)
  constructor(clip) {
    [this.rows, this.columns] = clip.grid;
    [this.low, this.high] = clip.scale;
    this.patches = this.rows * this.columns;
    this.shown = bytes(clip.shown);
    const patches = [...this.shown.keys()].filter((patch) => this.shown[patch]);
    const some = (count, place) => Array.from({ length: count }, (_, at) => Number(patches.some((patch) => place(patch) === at)));
    this.shownRows = some(this.rows, (patch) => Math.floor(patch / this.columns));
    this.shownColumns = some(this.columns, (patch) => patch % this.columns);
    this.rises = clip.rises; // the greatest of a moment's, of a word's heatmap above its median
    this.valid = bytes(clip.valid);
    this.first = clip.first;
    this.hop = clip.hop;
    this.maxima = clip.runs; // hottest patches and moments, of the numbers before they became levels
    this.runs = Object.fromEntries(Object.entries(clip.runs).map(([run, { similarity }]) => [run, bytes(similarity)]));
  }

  // The token whose span holds a moment; beyond the first and last valid one, those.
  tokenAt(seconds) {
    const token = Math.floor((seconds - this.first) / this.hop);
    return Math.min(Math.max(token, this.valid.indexOf(1)), this.valid.lastIndexOf(1));
  }

  // The middle of a token's span, in seconds.
  moment(token) {
    return this.first + (token + 0.5) * this.hop;
  }

  // Levels (0 to 255, between low and high) of all patches: the mean over these tokens.
  ofTokens(run, tokens) {
    const levels = new Float64Array(this.patches);
    for (const token of tokens) {
      for (let patch = 0; patch < this.patches; patch++) {
        levels[patch] += this.runs[run][token * this.patches + patch] / tokens.length;
      }
    }
    return levels;
  }

  // Levels of all tokens for one patch: when is it spoken about?
  ofPatch(run, patch) {
    return Float64Array.from(this.valid, (_, token) => this.runs[run][token * this.patches + patch]);
  }

  // The patch that is most similar to a token, or to a word by its number.
  hottest(run, token, word) {
    return word === null ? this.maxima[run].hottest[token] : this.maxima[run].words[word];
  }

  // The token that is most similar to a patch.
  best(run, patch) {
    return this.maxima[run].moments[patch];
  }

  // The cosine that a level stands for.
  cosine(level) {
    return this.low + (level / 255) * (this.high - this.low);
  }

  // Paint the exact values, levels as colours, on a canvas of one pixel to a patch; the browser lays it over, smoothly. Nothing is painted
  // of a moment that does not count (a pause, for models that leave them out).
  paintValues(canvas, levels, colours, counts) {
    canvas.width = this.columns;
    canvas.height = this.rows;
    const context = canvas.getContext("2d");
    const image = context.createImageData(this.columns, this.rows);
    levels.forEach((level, patch) => {
      image.data.set(colours[Math.round(level)], 4 * patch);
      image.data[4 * patch + 3] = counts && this.shown[patch] ? 255 : 0;
    });
    context.putImageData(image, 0, 0);
  }
}
