// What each model retrieves: the pictures nearest to a clip, and the clips nearest to its picture.
"use strict";

const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

const rankText = ({ rank, of, top }) =>
  `right one at rank ${rank} of ${of}${top.some((item) => item.right) ? "" : `, not among these ${top.length}`}`;

// Play; that something paused it before it began is no fault.
const playSound = (sound) =>
  sound.play().catch((reason) => {
    if (reason.name !== "AbortError") throw reason;
  });

function soundPlayer(audio) {
  const sound = new Audio();
  const stop = () => sound.pause();
  audio.addEventListener("play", stop);
  return {
    stop,
    play(address) {
      const again = !sound.paused && sound.src.endsWith(address);
      audio.pause();
      stop();
      if (again) return; // a second click stops it
      sound.src = address;
      playSound(sound);
    },
  };
}

function foundPictures(run, found) {
  const list = element("ol", { className: "pictures" });
  for (const [place, item] of found.top.entries()) {
    const mark = item.right ? "right" : "";
    const alt = `Number ${place + 1}${item.right ? ", the right picture" : ""}`;
    list.append(element("li", { className: mark }, element("img", { src: item.picture, alt, loading: "lazy" })));
  }
  return element("div", {}, element("h4", {}, `${run}: `, element("small", {}, rankText(found))), list);
}

// `player` plays all of them: one clip is heard at a time.
function foundClips(run, found, player) {
  const list = element("ol", { className: "speech" });
  for (const [place, item] of found.top.entries()) {
    const label = `Play number ${place + 1}, ${item.language}${item.right ? ", the right clip" : ""}`;
    const button = element("button", { type: "button", ariaLabel: label, onclick: () => player.play(item.sound) }, "▶");
    const words = element("span", { dir: "auto", lang: item.lang }, item.description || `clip ${item.id.slice(0, 8)}`);
    const about = element("small", {}, [item.language, item.gloss].filter(Boolean).join(": "));
    list.append(element("li", { className: item.right ? "right" : "" }, button, words, about));
  }
  return element("div", {}, element("h4", {}, `${run}: `, element("small", {}, rankText(found))), list);
}

// `audio` is the page's own sound: it pauses while a found clip is heard, and the other way round.
function showFound(section, clip, audio) {
  section.player ??= soundPlayer(audio);
  section.player.stop();
  section.replaceChildren();
  const known = Object.entries(clip.runs).filter(([, run]) => run.pictures);
  section.hidden = known.length === 0;
  if (section.hidden) return;
  const pictures = known.map(([name, run]) => foundPictures(name, run.pictures));
  const clips = known.map(([name, run]) => foundClips(name, run.clips, section.player));
  section.append(
    element("h3", {}, "Pictures that each model finds for this speech"), element("div", { className: "found" }, ...pictures),
    element("h3", {}, "Speech that each model finds for this picture"), element("div", { className: "found" }, ...clips),
  );
}
