// The viewer of a page that export_webxr() writes. viewer.js is this file together with three.js 0.187:
//   npm install three@0.187 esbuild
//   npx esbuild viewer.source.js --bundle --minify --format=iife --legal-comments=none --outfile=viewer.js
import {
  LinearFilter, MathUtils, Mesh, MeshBasicMaterial, PerspectiveCamera, Scene, SphereGeometry, SRGBColorSpace, Texture,
  WebGLRenderer,
} from "three";
import { VRButton } from "three/addons/webxr/VRButton.js";

const places = JSON.parse(document.getElementById("places").textContent); // [{name, left, right}], pictures as data:
const LEFT = 1, RIGHT = 2; // three.js gives each eye of a headset the layer of its number

const renderer = new WebGLRenderer({ antialias: true });
renderer.xr.enabled = true;
renderer.xr.setReferenceSpaceType("local"); // the eyes are in the middle, however tall somebody is
document.body.append(renderer.domElement, VRButton.createButton(renderer));
const canvas = renderer.domElement;
canvas.tabIndex = 0;
canvas.setAttribute("role", "img");

const scene = new Scene();
const camera = new PerspectiveCamera(75, 1, 0.1, 1000);
camera.layers.enable(LEFT); // without a headset: what the left eye would see
// Seen from inside: mirrored, with the middle column (north) straight ahead.
const sphere = new SphereGeometry(500, 96, 64).scale(-1, 1, 1).rotateY(-Math.PI / 2);
const eyes = [LEFT, RIGHT].map((layer) => {
  const eye = new Mesh(sphere, new MeshBasicMaterial());
  eye.layers.set(layer);
  scene.add(eye);
  return eye;
});

function show(place) {
  eyes.forEach((eye, i) => {
    const picture = new Image();
    picture.onload = () => {
      const texture = new Texture(picture);
      texture.colorSpace = SRGBColorSpace;
      texture.minFilter = LinearFilter; // no smaller copies: they would show the seam where left and right edge meet
      texture.generateMipmaps = false;
      texture.needsUpdate = true;
      eye.material.map?.dispose();
      eye.material.map = texture;
      eye.material.needsUpdate = true;
    };
    picture.src = i && place.right ? place.right : place.left;
  });
  canvas.setAttribute("aria-label", `${place.name}. Drag or use the arrow keys to look around, + and - to zoom.`);
}

let yaw = 0, pitch = 0; // degrees: to the right, up
function turn(right, up) {
  yaw = (yaw + right) % 360;
  pitch = MathUtils.clamp(pitch + up, -89, 89);
}
function zoom(degrees) {
  camera.fov = MathUtils.clamp(camera.fov + degrees, 30, 110);
  camera.updateProjectionMatrix();
}

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  canvas.focus();
});
canvas.addEventListener("pointermove", (event) => {
  if (!canvas.hasPointerCapture(event.pointerId)) return;
  const degrees = camera.fov / canvas.clientHeight; // of a pixel: the place stays under the finger
  turn(-event.movementX * degrees, event.movementY * degrees);
});
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(0.05 * event.deltaY);
}, { passive: false });
const KEYS = {
  ArrowLeft: () => turn(-5, 0), ArrowRight: () => turn(5, 0), ArrowUp: () => turn(0, 5), ArrowDown: () => turn(0, -5),
  "+": () => zoom(-5), "=": () => zoom(-5), "-": () => zoom(5),
};
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});

if (places.length > 1) {
  const menu = document.createElement("nav");
  for (const place of places) {
    const button = document.createElement("button");
    button.textContent = place.name;
    button.onclick = () => show(place);
    menu.append(button);
  }
  document.body.append(menu);
}

function fit() {
  camera.aspect = innerWidth / innerHeight;
  camera.updateProjectionMatrix();
  renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
  renderer.setSize(innerWidth, innerHeight);
}
addEventListener("resize", fit);
fit();
show(places[0]);
canvas.focus();
renderer.setAnimationLoop(() => {
  camera.rotation.set(MathUtils.degToRad(pitch), MathUtils.degToRad(-yaw), 0, "YXZ"); // in a headset, the head's own
  renderer.render(scene, camera);
});
