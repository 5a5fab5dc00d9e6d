// The GAN of digits: noise, steps along six directions and the digit go in.
import { gaussian, loadNetwork, oneAtATime, show } from "./painting.js";

const form = document.getElementById("digits"), canvas = document.getElementById("digits-painting");
const NOISE = 64, DIRECTIONS = 6, DIGITS = 10;
let network, noise;

// [28 · 28] numbers in [-1, 1].
export function sketch(noise, steps, digit) {
  const wanted = Float32Array.from({ length: DIGITS }, (_, place) => Number(place === digit));
  return network({ noise: [noise, [1, NOISE]], steps: [steps, [1, DIRECTIONS]], digit: [wanted, [1, DIGITS]] });
}

async function act() {
  const digit = Number(form.elements.digit.value);
  const steps = Float32Array.from({ length: DIRECTIONS }, (_, place) => form.elements[`step${place}`].value);
  show(canvas, await sketch(noise, steps, digit));
  canvas.setAttribute("aria-label", `What the generator made when asked for a ${digit}`);
}

export async function start(say) {
  network = await loadNetwork("digits.onnx");
  noise = gaussian(NOISE);
  const update = oneAtATime(act, say);
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.elements.noise.addEventListener("click", () => { noise = gaussian(NOISE); update(); });
  form.elements.back.addEventListener("click", () => {
    for (let place = 0; place < DIRECTIONS; place++) form.elements[`step${place}`].value = 0;
    update();
  });
  form.hidden = false;
  await update();
}
