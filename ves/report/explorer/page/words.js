// The words, above the waveform where they are said.
"use strict";

function showWords(page, clip) {
  const buttons = clip.words.map((word, number) => {
    const names = [element("b", { dir: "auto", lang: clip.lang }, word.text), element("small", {}, word.english)];
    const button = element("button", { type: "button", className: word.role, onclick: () => page.say(number) }, ...names);
    button.disabled = word.tokens.length === 0;
    button.title = button.disabled ? "beyond what the models hear" : "";
    button.hidden = word.start >= clip.seconds;
    return button;
  });
  $("words").replaceChildren(...buttons);
  return buttons;
}

// Put each word where it is said; one that finds no room there goes a row up, so that every word can be read and tapped.
function settleWords(buttons, clip) {
  const shown = buttons.filter((button) => !button.hidden);
  const room = $("words").clientWidth;
  const tall = Math.max(0, ...shown.map((button) => button.offsetHeight));
  const ends = []; // of each row, from below
  for (const button of shown) {
    const wide = button.offsetWidth;
    const left = Math.max(0, Math.min((room * clip.words[buttons.indexOf(button)].start) / clip.seconds, room - wide));
    const free = ends.findIndex((end) => end <= left);
    const row = free < 0 ? ends.length : free;
    ends[row] = left + wide;
    Object.assign(button.style, { left: `${left}px`, bottom: `${row * tall}px` });
  }
  $("words").style.height = `${ends.length * tall}px`;
}
