// What the sections of the page share: how a network is loaded, what goes into it, and how a picture is shown.
const folder = new URL(".", import.meta.url);
let runtime; // ONNX Runtime Web, which comes with the first network

async function bytes(name) {
  const answer = await fetch(new URL(name, folder));
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

// Some servers unpack on the way.
async function unpacked(packed) {
  if (packed[0] !== 0x1f || packed[1] !== 0x8b) return packed;
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function loadRuntime() {
  const ort = await import(new URL("ort.wasm.bundle.min.mjs", folder));
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = await unpacked(await bytes("ort-wasm-simd-threaded.wasm.gz"));
  return ort;
}

// The network in a file, as a function: {name: [numbers, shape]} → the numbers of the picture, in [-1, 1].
export async function loadNetwork(name) {
  runtime ??= loadRuntime();
  const ort = await runtime.catch((error) => { runtime = undefined; throw error; });
  const session = await ort.InferenceSession.create(await bytes(name), { executionProviders: ["wasm"] });
  return async (inputs) => {
    const given = Object.entries(inputs).map(([key, [numbers, shape]]) => [key, new ort.Tensor(numbers, shape)]);
    return (await session.run(Object.fromEntries(given))).picture.data;
  };
}

export async function loadWords(name) {
  return JSON.parse(new TextDecoder().decode(await bytes(name)));
}

// The text as the text encoder reads it: `length` numbers, of which those after the last word mark the end.
export function tokens(text, ids, length) {
  const row = new Int32Array(length).fill(ids.end);
  [ids.start, ...text.replaceAll(",", " ,").split(" ").map((word) => ids[word])].forEach((id, place) => {
    row[place] = id;
  });
  return row;
}

export function gaussian(count) {
  return Float32Array.from({ length: count }, () =>
    Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()));
}

// Half of a turn from one noise to another: sin² + cos² = 1 keeps its loudness.
export function between(noises, share) {
  const [a, b] = [Math.cos(share * Math.PI / 2), Math.sin(share * Math.PI / 2)];
  return noises[0].map((value, place) => a * value + b * noises[1][place]);
}

export function show(canvas, picture) { // grey pictures hold each number once
  const context = canvas.getContext("2d"), size = canvas.width * canvas.height;
  const image = context.createImageData(canvas.width, canvas.height), grey = picture.length === size;
  for (let place = 0; place < size; place++) {
    for (let colour = 0; colour < 3; colour++) {
      image.data[4 * place + colour] = Math.round((picture[(grey ? 0 : colour * size) + place] + 1) * 127.5);
    }
    image.data[4 * place + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

// One picture at a time; whatever was asked for meanwhile becomes one more.
export function oneAtATime(act, say) {
  let busy = false, again = false;
  return async () => {
    again = busy;
    if (busy) return;
    busy = true;
    do {
      again = false;
      const from = performance.now();
      await act();
      say(`Painted in ${Math.round(performance.now() - from)} milliseconds.`);
    } while (again);
    busy = false;
  };
}

export function fillMenus(form, choices) {
  for (const [name, values] of Object.entries(choices)) {
    for (const value of values) form.elements[name].add(new Option(value || "(not said)", value));
  }
}
