// The student that paints panoramas: a sentence and noise go in; then the reader looks around.
import { heading, lookAround, outline, perspective } from "./look.js";
import { between, fillMenus, gaussian, loadNetwork, loadWords, oneAtATime, show, tokens } from "./painting.js";

const form = document.getElementById("places"), view = document.getElementById("places-view");
const map = document.getElementById("places-map");
// Each word that can be chosen, with what the prompt says then; without a word, nothing is said.
const LANDS = {
  "": "a view", sea: "a sea", mountains: "mountains", desert: "a desert", forest: "a forest", meadow: "a meadow",
};
const TIMES = { "": "", dawn: "at dawn", noon: "at noon", dusk: "at dusk", night: "at night" };
const SKIES = {
  "": "", clear: "under a clear sky", clouds: "under clouds", fog: "in fog", rain: "in rain", snow: "in snow",
};
const THINGS = {
  "": "", lighthouse: "a lighthouse", tree: "a tree", tent: "a tent", balloon: "a balloon", none: "nothing else",
};
const DIRECTIONS = ["north", "east", "south", "west"];
const FIRST = { land: "sea", time: "noon", sky: "clear", light: "west", thing: "lighthouse", place: "north" };
const TOKENS = 32, NOISE = 512, LATENTS = [1, 4, 8, 16], ROWS = 64, COLUMNS = 128;
const painted = document.createElement("canvas"); // the map, a pixel for each of the network's
[painted.width, painted.height] = [COLUMNS, ROWS];
let network, ids, noises, panorama, angles, text;

const isThere = (thing) => Boolean(thing) && thing !== "none";

export function compose({ land, time, sky, light, thing, place }) {
  const first = [LANDS[land], TIMES[time], SKIES[sky]].filter(Boolean).join(" ");
  const shining = light && `the ${time === "night" ? "moon" : "sun"} in the ${light}`;
  return [first, shining, isThere(thing) ? `${THINGS[thing]} to the ${place}` : THINGS[thing]].filter(Boolean).join(", ");
}

function prompt() {
  return compose(Object.fromEntries(Object.keys(FIRST).map((name) => [name, form.elements[name].value])));
}

// [3 · 64 · 128] numbers in [-1, 1].
export function paint(text, noise) {
  return network({ ids: [tokens(text, ids, TOKENS), [1, TOKENS]], noise: [noise, LATENTS] });
}

// The view, and on the map its outline.
function look() {
  show(view, perspective(panorama, angles, view.width));
  const context = map.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(painted, 0, 0, map.width, map.height);
  const points = outline(angles).map(([column, row]) => [(column + 1) * map.width / 2, (row + 1) * map.height / 2]);
  for (const [colour, side] of [["black", 7], ["white", 4]]) {
    context.fillStyle = colour;
    for (const [x, y] of points) context.fillRect(x - side / 2, y - side / 2, side, side);
  }
  const says = `looking ${heading(angles.yaw)}, pitch ${Math.round(angles.pitch)}°, ` +
    `field of view ${Math.round(angles.field)}°`;
  document.getElementById("places-looking").textContent = says;
  const how = "Drag or use the arrow keys to look around, + and - to zoom.";
  view.setAttribute("aria-label", `What the network painted for: ${text}; ${says}. ${how}`);
}

async function act() {
  const asked = prompt();
  panorama = await paint(asked, between(noises, Number(form.elements.walk.value)));
  text = asked;
  document.getElementById("places-prompt").textContent = text;
  show(painted, panorama);
  map.setAttribute("aria-label", `The whole panorama for: ${text}. A line shows what part of it is in view.`);
  look();
}

export async function start(say) {
  [network, ids] = [await loadNetwork("places.onnx"), await loadWords("places.json")];
  const draw = () => { noises = [gaussian(NOISE), gaussian(NOISE)]; };
  draw();
  const [land, time, sky, thing] = [LANDS, TIMES, SKIES, THINGS].map(Object.keys);
  const [light, place] = [["", ...DIRECTIONS], DIRECTIONS]; // no caption names a thing without its place
  fillMenus(form, { land, time, sky, light, thing, place });
  for (const [name, word] of Object.entries(FIRST)) form.elements[name].value = word;
  const update = oneAtATime(act, say), sliders = form.elements;
  angles = lookAround(view, { yaw: sliders.yaw, pitch: sliders.pitch, field: sliders.field }, look);
  for (const name of [...Object.keys(FIRST), "walk"]) form.elements[name].addEventListener("input", update);
  form.elements.thing.addEventListener("input", (event) => {
    form.elements.place.disabled = !isThere(event.target.value); // what isn't there stands nowhere
  });
  form.elements.noise.addEventListener("click", () => { draw(); update(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  await update();
}
