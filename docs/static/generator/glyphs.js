// The student that paints coloured digits: a sentence and noise go in.
import { between, fillMenus, gaussian, loadNetwork, loadWords, oneAtATime, show, tokens } from "./painting.js";

const form = document.getElementById("glyphs"), canvas = document.getElementById("glyphs-painting");
const CHOICES = {
  size: ["large", "medium", "small"],
  colour: ["red", "white", "black", "grey", "orange", "yellow", "green", "blue", "purple", "pink"],
  digit: ["seven", "zero", "one", "two", "three", "four", "five", "six", "eight", "nine"],
  style: ["regular", "bold", "italic", "bold italic"],
  background: ["white", "black", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink"],
  position: ["in the middle", "at the top left", "at the top right", "at the bottom left", "at the bottom right"],
};
const TOKENS = 24, NOISE = 512, LATENTS = [1, 8, 8, 8];
let network, ids, noises;

function article(word) {
  return `${"aeiou".includes(word[0]) ? "an" : "a"} ${word}`;
}

export function prompt() {
  const value = (name) => form.elements[name].value;
  const style = value("style") === "regular" ? "" : ` in ${value("style")}`;
  return `${article(value("size"))} ${value("colour")} ${value("digit")}${style} on ` +
    `${article(value("background"))} background ${value("position")}`;
}

// [3 · 32 · 32] numbers in [-1, 1].
export function paint(text, noise) {
  return network({ ids: [tokens(text, ids, TOKENS), [1, TOKENS]], noise: [noise, LATENTS] });
}

async function act() {
  const text = prompt(), loudness = Number(form.elements.loudness.value);
  const noise = between(noises, Number(form.elements.walk.value)).map((value) => loudness * value);
  show(canvas, await paint(text, noise));
  document.getElementById("glyphs-prompt").textContent = text;
  canvas.setAttribute("aria-label", `What the network painted for: ${text}`);
}

export async function start(say) {
  [network, ids] = [await loadNetwork("glyphs.onnx"), await loadWords("glyphs.json")];
  const draw = () => { noises = [gaussian(NOISE), gaussian(NOISE)]; };
  draw();
  fillMenus(form, CHOICES);
  const update = oneAtATime(act, say);
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.elements.noise.addEventListener("click", () => { draw(); update(); });
  form.hidden = false;
  await update();
}
