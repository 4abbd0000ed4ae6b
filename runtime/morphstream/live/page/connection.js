// The WebRTC connection: a picture to the server and one back, and the server's `status` beside them.
//
// A connection is lost when `status` is closed, or silent for 5 s, whatever the browser says of it; it is then made again.

import { Refusal } from "./dom.js";

const TICK_MS = 1000, SILENT_MS = 5000, FIRST_MS = 15000, GATHER_MS = 2000, LONGEST_WAIT_S = 15;
const MOST_BITS = 6e6; // a second of the camera's picture: at 640x480 twice what keeps a face sharp

export class Connection {
  network = 0; // ms to the server and back
  buffer = 0; // ms from a frame's arrival until it is decoded
  #settings;
  #track = null;
  #isPaused = false;
  #peer = null;
  #channel = null;
  #sender = null;
  #tries = 0;
  #retry = 0;
  #begun = 0;
  #heard = 0;
  #pings = new Map();
  #decoded = { frames: 0, time: 0 };

  /** settings: iceServers; offer(description): answer; onState(text), onStatus(status), onPicture(stream), onError(error) */
  constructor(settings) {
    this.#settings = settings;
    setInterval(() => this.#tick().catch(() => {}), TICK_MS); // a connection may close while it is asked
  }

  /** Connects, again and again; a track of null asks for the server's own input. */
  open(track, { isPaused }) {
    this.#track = track;
    this.#isPaused = isPaused;
    return this.#connect();
  }

  close() {
    this.#tries = 0;
    clearTimeout(this.#retry);
    this.#retry = 0;
    this.#hangUp();
  }

  /** Stops sending, or sends again. */
  pause(isPaused) {
    this.#isPaused = isPaused;
    return this.#track && this.#sender?.replaceTrack(isPaused ? null : this.#track);
  }

  async #connect() {
    this.#hangUp();
    const { iceServers, offer, onPicture, onState, onError } = this.#settings;
    const peer = (this.#peer = new RTCPeerConnection({ iceServers }));
    this.#begun = performance.now();
    onState("connecting");
    try {
      this.#sender = peer.addTransceiver(this.#track ?? "video", {
        direction: this.#track ? "sendrecv" : "recvonly",
        sendEncodings: [{ maxBitrate: MOST_BITS }],
      }).sender;
      this.#channel = peer.createDataChannel("status");
      this.#channel.onmessage = ({ data }) => peer === this.#peer && this.#hear(JSON.parse(data));
      this.#channel.onclose = () => peer === this.#peer && this.#again();
      peer.ontrack = ({ track, receiver }) => {
        receiver.jitterBufferTarget = 0; // the newest picture, not the smoothest
        onPicture(new MediaStream([track]));
      };
      await peer.setLocalDescription();
      await gathered(peer);
      const { sdp, type } = peer.localDescription;
      const answer = await offer({ sdp, type, input: this.#track ? "browser" : "server" });
      if (peer !== this.#peer) return;
      await peer.setRemoteDescription(answer);
      if (this.#isPaused) await this.pause(true);
    } catch (error) {
      if (peer !== this.#peer) return;
      if (error instanceof Refusal && (error.code === 0 || error.code >= 500)) this.#again();
      else this.close();
      onError(error);
    }
  }

  /** Connects again after 1, 2, 4 .. 15 s. */
  #again() {
    this.#hangUp();
    const wait_s = Math.min(2 ** this.#tries++, LONGEST_WAIT_S);
    this.#settings.onState(`connection lost; again in ${wait_s} s`);
    this.#retry = setTimeout(() => this.#connect(), wait_s * 1000);
  }

  #hangUp() {
    const before = this.#peer;
    this.#peer = this.#channel = this.#sender = null;
    this.#heard = 0;
    this.#pings.clear();
    this.#decoded = { frames: 0, time: 0 };
    before?.close();
  }

  async #tick() {
    const now = Math.round(performance.now());
    if (this.#peer && now > (this.#heard ? this.#heard + SILENT_MS : this.#begun + FIRST_MS)) {
      return this.#again();
    }
    if (this.#channel?.readyState !== "open") return;
    this.#pings.set(now, performance.now());
    this.#channel.send(JSON.stringify({ ping: now }));
    const { frames, time } = this.#decoded;
    for (const report of (await this.#peer.getStats()).values()) {
      if (report.type !== "inbound-rtp" || report.kind !== "video") continue;
      this.#decoded = { frames: report.framesDecoded ?? 0, time: report.totalProcessingDelay ?? 0 };
      const more = this.#decoded.frames - frames;
      if (more > 0) this.buffer = (1000 * (this.#decoded.time - time)) / more;
    }
  }

  #hear(message) {
    this.#heard = performance.now();
    if ("pong" in message) {
      this.network = this.#heard - (this.#pings.get(message.pong) ?? this.#heard);
      this.#pings.delete(message.pong);
    } else {
      this.#settings.onStatus(message, { isAgain: this.#tries > 0 });
      this.#tries = 0;
    }
  }
}

/** Waits for the addresses that this browser can be reached at, for 2 s at most: it may take without end. */
function gathered(peer) {
  const ended = new Promise((done) => {
    peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && done();
  });
  return Promise.race([ended, new Promise((done) => setTimeout(done, GATHER_MS))]);
}

/** Opens a camera of this browser. */
export async function openCamera(deviceId, [width, height]) {
  if (!navigator.mediaDevices) {
    throw new Refusal("A browser gives its camera only to https and to localhost. Open this page by one of them.");
  }
  try {
    const video = { width, height, deviceId: deviceId ? { exact: deviceId } : undefined };
    const stream = await navigator.mediaDevices.getUserMedia({ video });
    stream.getVideoTracks()[0].contentHint = "motion";
    return stream;
  } catch (error) {
    const why = { NotAllowedError: "the browser was not allowed to use it", NotFoundError: "there is none" };
    throw new Refusal(`The camera can't be used: ${why[error.name] ?? error.message}.`);
  }
}
