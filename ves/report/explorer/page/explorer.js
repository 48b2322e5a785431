// The page: which clip, which models, where the playhead is, what is chosen. Data arrive through explorer.index and .add.
"use strict";

const $ = (id) => document.getElementById(id);

const explorer = {
  clips: [], // [{id, language, title, thumbnail}], from data/index.js
  details: {}, // by id, from data/<id>.js
  hidden: new Set(), // models that are switched off
  current: null,
  word: null, // the number of the word whose heat is shown, or null: that of the playhead
  patch: null, // {run, patch, held} under the pointer, or held by a tap
  until: null, // where playing stops: the end of a word
  values: false, // whether heat is shown as colours with their scale, instead of light

  // Called once by data/index.js.
  index({ intro, about, back, colours, opacity, light, clips }) {
    if (back && !location.pathname.includes("/data/raw/")) { // a report has a copy of this page, and not of that one
      $("back").hidden = false;
      $("back").firstElementChild.href = back;
    }
    Object.assign(this, { colours, light, clips });
    $("intro").textContent = intro;
    $("about").textContent = about;
    const bar = $("bar").getContext("2d");
    bar.fillStyle = "#808080"; // the colours as they look on a picture: over grey, as opaque as there
    bar.fillRect(0, 0, colours.length, 1);
    bar.globalAlpha = opacity;
    document.documentElement.style.setProperty("--heat", opacity);
    colours.forEach((colour, x) => {
      bar.fillStyle = `rgb(${colour.join()})`;
      bar.fillRect(x, 0, 1, 1);
    });
    paintLegend($("lights"), light);
    const languages = [...new Set(clips.map((clip) => clip.language))].sort();
    $("language").append(...["all", ...languages].map((name) => element("option", { value: name }, name)));
    $("language").parentElement.hidden = languages.length < 2;
    for (const clip of clips) {
      const image = element("img", { src: clip.thumbnail, alt: "", loading: "lazy" });
      const open = () => this.open(clip.id);
      const label = `${clip.language}: ${clip.title}`;
      const button = element("button", { type: "button", onclick: open, ariaLabel: label }, image, clip.language);
      clip.item = element("li", {}, button);
    }
    $("clips").append(...clips.map((clip) => clip.item));
    $("choice").hidden = clips.length < 2;
    this.wave = new Wave($("wave"), $("cursor"));
    listen(this);
    const asked = decodeURIComponent(location.hash.slice(1));
    this.open(clips.some((clip) => clip.id === asked) ? asked : clips[0].id);
  },

  // Called by data/<id>.js.
  add(clip) {
    this.details[clip.id] = clip;
    if (this.wanted === clip.id) this.show(clip);
  },

  open(id) {
    this.wanted = id;
    if (this.details[id]) this.show(this.details[id]);
    else document.body.append(element("script", { src: `data/${id}.js` }));
  },

  visible() {
    const language = $("language").value;
    return this.clips.filter((clip) => language === "all" || clip.language === language);
  },

  filter() {
    const visible = this.visible();
    for (const clip of this.clips) clip.item.hidden = !visible.includes(clip);
    if (!visible.some((clip) => clip.id === this.current.id)) this.open(visible[0].id);
  },

  step(by) {
    const visible = this.visible();
    const at = visible.findIndex((clip) => clip.id === this.current.id);
    this.open(visible[(at + by + visible.length) % visible.length].id);
  },

  show(clip) {
    const heard = [...clip.words.keys()].filter((number) => clip.words[number].tokens.length > 0);
    const word = heard.find((number) => clip.words[number].role === "noun") ?? heard[0] ?? null;
    Object.assign(this, { current: clip, heat: new Heat(clip), word, patch: null, until: null });
    history.replaceState(null, "", `#${clip.id}`);
    for (const { id, item } of this.clips) {
      item.firstChild.setAttribute("aria-current", String(id === clip.id));
      if (id === clip.id) item.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    Object.assign($("description"), { textContent: clip.description || `${clip.language}, ${clip.id.slice(0, 8)}`, lang: clip.lang });
    $("gloss").textContent = [clip.language, clip.gloss].filter(Boolean).join(": ");
    $("low").textContent = clip.scale[0].toFixed(2);
    $("high").textContent = clip.scale[1].toFixed(2);
    $("audio").src = clip.sound;
    this.panels = showPanels(this, clip);
    this.wordButtons = showWords(this, clip);
    settleWords(this.wordButtons, clip);
    this.wave.show(clip);
    showFound($("found"), clip, $("audio"));
    this.draw();
  },

  // Levels of a model's patches now: those of the chosen word, or of the moment at the playhead.
  levels(run) {
    const tokens = this.word === null ? [this.heat.tokenAt($("audio").currentTime)] : this.current.words[this.word].tokens;
    return this.heat.ofTokens(run, tokens);
  },

  // The most similar of them.
  hottest(run) {
    return this.heat.hottest(run, this.heat.tokenAt($("audio").currentTime), this.word);
  },

  // What is seen of the current moment: light on every picture, the playhead, the lit waveform, a sentence of it.
  draw() {
    const seconds = $("audio").currentTime;
    const word = this.word === null ? null : this.current.words[this.word];
    const counts = word !== null || this.heat.valid[this.heat.tokenAt(seconds)] === 1;
    const said = word ?? this.current.words.find(({ start, end }) => start <= seconds && seconds < end);
    for (const [run, panel] of Object.entries(this.panels)) {
      this.drawPanel(run, panel, counts);
      showVerdict(panel, word === null ? null : this.current.runs[run].right[this.word]);
      showNamed(panel, this.current.objects[said?.object]);
    }
    this.wave.move(seconds);
    this.drawWave();
    this.wordButtons.forEach((button, number) => {
      const { start, end } = this.current.words[number];
      button.setAttribute("aria-pressed", String(this.word === number));
      button.classList.toggle("now", word === null && start <= seconds && seconds < end);
    });
    $("play").textContent = $("audio").paused ? "Play" : "Pause";
    $("clock").textContent = `${seconds.toFixed(2)} s`;
    const sentence = this.sentence(word);
    if ($("state").textContent !== sentence) $("state").textContent = sentence; // it is read aloud
  },

  // The heat of a model, painted anew only where it is another one, and what is marked.
  drawPanel(run, panel, counts) {
    const hottest = this.hottest(run);
    const what = [this.word, this.word === null && this.heat.tokenAt($("audio").currentTime), this.values, counts].join();
    if (panel.painted !== what) {
      const levels = this.levels(run);
      if (this.values) this.heat.paintValues(panel.canvas, levels, this.colours, counts);
      const greatest = this.heat.rises[this.word === null ? "moment" : "word"];
      panel.flat.hidden = this.values || !paintSpotlight(panel.canvas, this.heat, levels, hottest, greatest, this.light, counts);
      panel.painted = what;
    }
    panel.mark.hidden = !counts;
    place(panel.mark, this.heat, this.current.square, hottest);
    panel.pick.hidden = this.patch === null;
    if (this.patch) place(panel.pick, this.heat, this.current.square, this.patch.patch);
  },

  showValues(values) {
    this.values = values;
    $("panels").classList.toggle("values", values);
    $("scale").hidden = !values;
    $("key").hidden = values;
    this.draw();
  },

  drawWave() {
    if (!this.patch) return this.wave.draw(() => null, this.word === null ? null : this.current.words[this.word]);
    const levels = this.heat.ofPatch(this.patch.run, this.patch.patch);
    return this.wave.draw((seconds) => {
      const token = Math.floor((seconds - this.heat.first) / this.heat.hop);
      return this.heat.valid[token] ? { colour: this.colours[levels[token]], light: levels[token] / 255 } : null;
    });
  },

  // What is chosen, in words; nothing while nothing is.
  sentence(word) {
    if (this.patch) {
      const levels = this.heat.ofPatch(this.patch.run, this.patch.patch);
      const best = this.heat.best(this.patch.run, this.patch.patch);
      const cosine = this.heat.cosine(levels[best]).toFixed(2);
      const moment = this.heat.moment(best);
      const said = this.current.words.find(({ start, end }) => start <= moment && moment < end);
      const what = said ? `, where “${said.text}” ${said.english} is said` : "";
      return `${this.patch.run}: this spot is most like the sound at ${moment.toFixed(2)} s${what} (similarity ${cosine}).`;
    }
    return word ? `“${word.text}” ${word.english}, ${word.start.toFixed(2)} to ${word.end.toFixed(2)} s.` : "";
  },

  seek(seconds) {
    this.until = null;
    this.word = null;
    $("audio").currentTime = Math.min(Math.max(seconds, 0), this.current.sound_seconds);
    this.draw();
  },

  toggle() {
    const audio = $("audio");
    if (audio.paused) {
      if (audio.currentTime >= this.current.sound_seconds - 0.01) audio.currentTime = 0;
      this.word = null;
      this.until = null;
      playSound(audio);
    } else audio.pause();
  },

  // Hear a word; its heat, the mean over its tokens, stays until something else is chosen.
  say(number) {
    const { start, end } = this.current.words[number];
    this.word = number;
    this.until = end;
    $("audio").currentTime = start;
    playSound($("audio"));
    this.draw();
  },

  letGo() {
    this.patch = null;
    this.word = null;
    this.draw();
  },
};

function listen(page) {
  const audio = $("audio");
  const follow = () => {
    if (page.until !== null && audio.currentTime >= page.until) audio.pause();
    page.draw();
    if (!audio.paused) requestAnimationFrame(follow);
  };
  audio.addEventListener("play", follow);
  for (const event of ["pause", "seeked", "ended"]) audio.addEventListener(event, () => page.draw());
  $("play").onclick = () => page.toggle();
  $("values").onchange = () => page.showValues($("values").checked);
  $("language").onchange = () => page.filter();
  $("wave").addEventListener("pointerdown", (event) => page.seek(page.wave.secondsAt(event)));
  $("wave").addEventListener("pointermove", (event) => {
    if (event.buttons) page.seek(page.wave.secondsAt(event));
  });
  const settle = () => {
    settleWords(page.wordButtons, page.current);
    page.draw();
  };
  window.addEventListener("resize", settle);
  document.fonts.addEventListener("loadingdone", settle); // words are as wide as their letters
  const keys = {
    " ": () => page.toggle(),
    ArrowLeft: () => page.seek(audio.currentTime - page.heat.hop),
    ArrowRight: () => page.seek(audio.currentTime + page.heat.hop),
    n: () => page.step(1),
    p: () => page.step(-1),
    v: () => $("values").click(),
    Escape: () => page.letGo(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select")) return;
    if (event.key === " " && event.target.matches("button, input")) return; // the button's own key
    const box = Object.values(page.panels)[Number(event.key) - 1]?.box;
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key] ?? (box && (() => box.click()));
    if (!act) return;
    event.preventDefault();
    act();
  });
}
