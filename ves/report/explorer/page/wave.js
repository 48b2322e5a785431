// The waveform: bars of loudness, lit where the chosen patch is spoken about, with the words above it.
"use strict";

class Wave {
  constructor(canvas, cursor) {
    this.canvas = canvas;
    this.cursor = cursor;
  }

  show(clip) {
    this.clip = clip;
    this.peaks = bytes(clip.peaks);
    this.canvas.setAttribute("aria-valuemax", clip.seconds.toFixed(1));
  }

  // lit(seconds) gives the colour of a moment and how bright it is, or null: then it is grey, darker where it is heard.
  // `word`, if one is chosen, has a band from its start to its end.
  draw(lit, word = null) {
    const scale = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    const context = this.canvas.getContext("2d");
    const step = this.canvas.width / this.peaks.length;
    if (word) {
      const [start, end] = [word.start, word.end].map((seconds) => (seconds / this.clip.seconds) * this.canvas.width);
      context.fillStyle = "#ffe9a8";
      context.fillRect(start, 0, end - start, this.canvas.height);
    }
    this.peaks.forEach((peak, bar) => {
      const seconds = ((bar + 0.5) / this.peaks.length) * this.clip.seconds;
      const tall = Math.max(2 * scale, (peak / 255) * this.canvas.height);
      const moment = lit(seconds);
      context.fillStyle = moment ? `rgb(${moment.colour.join()})` : seconds < this.clip.sound_seconds ? "#8b8b96" : "#d9d9df";
      if (moment) { // it shows in silence too
        context.globalAlpha = moment.light ** 2;
        context.fillRect(bar * step, 0, step + 0.5, this.canvas.height);
        context.globalAlpha = 1;
      }
      context.fillRect(bar * step, (this.canvas.height - tall) / 2, Math.max(step * 0.8, 1), tall);
    });
  }

  move(seconds) {
    this.cursor.style.left = `${(100 * seconds) / this.clip.seconds}%`;
    this.canvas.setAttribute("aria-valuenow", seconds.toFixed(2));
    this.canvas.setAttribute("aria-valuetext", `${seconds.toFixed(2)} seconds`);
  }

  // The moment under a pointer.
  secondsAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    return share * this.clip.seconds;
  }
}
