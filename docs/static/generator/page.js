// The page that paints: noise comes from here, choices from the forms, and the networks from digits.onnx and
// student.onnx.
(function () {
  const folder = new URL(".", document.currentScript.src);
  const form = document.getElementById("choices"), canvas = document.getElementById("painting");
  const digitForm = document.getElementById("digit-choices"), digitCanvas = document.getElementById("digit-painting");
  const start = document.getElementById("start-painting"), says = document.getElementById("painter-says");
  const CHOICES = {
    size: ["large", "medium", "small"],
    colour: ["red", "white", "black", "grey", "orange", "yellow", "green", "blue", "purple", "pink"],
    digit: ["seven", "zero", "one", "two", "three", "four", "five", "six", "eight", "nine"],
    style: ["regular", "bold", "italic", "bold italic"],
    background: ["white", "black", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink"],
    position: ["in the middle", "at the top left", "at the top right", "at the bottom left", "at the bottom right"],
  };
  const TOKENS = 24, LATENTS = [1, 8, 8, 8], NOISE = 64, DIRECTIONS = 6, DIGITS = 10;
  let student, digits, ort, ids, noises, digitNoise;

  function article(word) {
    return `${"aeiou".includes(word[0]) ? "an" : "a"} ${word}`;
  }

  function prompt() {
    const value = (name) => form.elements[name].value;
    const style = value("style") === "regular" ? "" : ` in ${value("style")}`;
    return `${article(value("size"))} ${value("colour")} ${value("digit")}${style} on ` +
      `${article(value("background"))} background ${value("position")}`;
  }

  function tokens(text) {
    const row = new Int32Array(TOKENS).fill(ids.end);
    [ids.start, ...text.split(" ").map((word) => ids[word])].forEach((id, place) => { row[place] = id; });
    return row;
  }

  function gaussian(count) {
    return Float32Array.from({ length: count }, () =>
      Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()));
  }

  // Half of a turn from one noise to another: sin² + cos² = 1 keeps its loudness.
  function between(share) {
    const [a, b] = [Math.cos(share * Math.PI / 2), Math.sin(share * Math.PI / 2)];
    return noises[0].map((value, place) => a * value + b * noises[1][place]);
  }

  // [3 · 32 · 32] numbers in [-1, 1].
  async function paint(text, noise) {
    const found = await student.run({
      ids: new ort.Tensor("int32", tokens(text), [1, TOKENS]),
      noise: new ort.Tensor("float32", noise, LATENTS),
    });
    return found.picture.data;
  }

  // [28 · 28] numbers in [-1, 1].
  async function sketch(noise, steps, digit) {
    const wanted = Float32Array.from({ length: DIGITS }, (_, place) => Number(place === digit));
    const found = await digits.run({
      noise: new ort.Tensor("float32", noise, [1, NOISE]),
      steps: new ort.Tensor("float32", steps, [1, DIRECTIONS]),
      digit: new ort.Tensor("float32", wanted, [1, DIGITS]),
    });
    return found.picture.data;
  }

  function show(canvas, picture) { // grey pictures hold each number once
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
  function oneAtATime(act) {
    let busy = false, again = false;
    return async () => {
      again = busy;
      if (busy) return;
      busy = true;
      do {
        again = false;
        const from = performance.now();
        await act();
        says.textContent = `Painted in ${Math.round(performance.now() - from)} milliseconds.`;
      } while (again);
      busy = false;
    };
  }

  const update = oneAtATime(async () => {
    const text = prompt(), loudness = Number(form.elements.loudness.value);
    const noise = between(Number(form.elements.walk.value)).map((value) => loudness * value);
    show(canvas, await paint(text, noise));
    document.getElementById("prompt").textContent = text;
    canvas.setAttribute("aria-label", `What the network painted for: ${text}`);
  });

  const updateDigit = oneAtATime(async () => {
    const digit = Number(digitForm.elements.digit.value);
    const steps = Float32Array.from({ length: DIRECTIONS }, (_, place) => digitForm.elements[`step${place}`].value);
    show(digitCanvas, await sketch(digitNoise, steps, digit));
    digitCanvas.setAttribute("aria-label", `What the generator made when asked for a ${digit}`);
  });

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

  async function load() {
    start.disabled = true;
    says.textContent = "Loading …";
    try {
      ort = await import(new URL("ort.wasm.bundle.min.mjs", folder));
      ort.env.wasm.numThreads = 1;
      ort.env.wasm.wasmBinary = await unpacked(await bytes("ort-wasm-simd-threaded.wasm.gz"));
      const options = { executionProviders: ["wasm"] };
      digits = await ort.InferenceSession.create(await bytes("digits.onnx"), options);
      student = await ort.InferenceSession.create(await bytes("student.onnx"), options);
      ids = JSON.parse(new TextDecoder().decode(await bytes("words.json")));
    } catch (error) {
      start.disabled = false;
      says.textContent = location.protocol === "file:"
        ? "This page has to come from a server: run python -m http.server in the site's folder, and open its address."
        : `It could not be loaded (${error.message}). Try again, or another browser.`;
      return;
    }
    noises = [gaussian(512), gaussian(512)];
    digitNoise = gaussian(NOISE);
    start.hidden = true;
    form.hidden = digitForm.hidden = false;
    await updateDigit();
    await update();
    window.painter = { paint, prompt, sketch };
  }

  for (const [name, values] of Object.entries(CHOICES)) {
    for (const value of values) form.elements[name].add(new Option(value));
  }
  form.addEventListener("input", update);
  digitForm.addEventListener("input", updateDigit);
  for (const one of [form, digitForm]) one.addEventListener("submit", (event) => event.preventDefault());
  form.elements.noise.addEventListener("click", () => { noises = [gaussian(512), gaussian(512)]; update(); });
  digitForm.elements.noise.addEventListener("click", () => { digitNoise = gaussian(NOISE); updateDigit(); });
  digitForm.elements.back.addEventListener("click", () => {
    for (let place = 0; place < DIRECTIONS; place++) digitForm.elements[`step${place}`].value = 0;
    updateDigit();
  });
  start.addEventListener("click", load);
})();
