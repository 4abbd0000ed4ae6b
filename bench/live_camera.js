// Measures what a live page shows; evaluated in the page by `bench.live_camera`. Numbers of frames are read from bars.
({ count, bits, side, face, rate }) => {
  const canvasOf = (width, height) => new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  const bars = canvasOf(bits * 8, 8), crop = canvasOf(face[2], face[3]);
  const seen = { latencies: [], ages: [], gaps: [], psnr: [] };
  const cameraTimes = new Map(), cameraFaces = new Map();
  let newest = null, newestTime = 0, kept = 0, frames = [], full = () => {};

  const numberIn = (video) => {
    const scale = video.videoWidth / 640;
    bars.drawImage(video, 0, 0, bits * side * scale, side * scale, 0, 0, bits * 8, 8);
    const { data } = bars.getImageData(0, 0, bits * 8, 8);
    const levels = Array.from({ length: bits }, (_, place) => data[4 * (4 * bits * 8 + place * 8 + 4)]);
    if (levels.some((level) => level > 64 && level < 192)) return null; // of two frames at once
    const read = levels.map((level) => Number(level > 127));
    const isEven = read.reduce((sum, bit) => sum + bit) % 2 === 0;
    const number = read.slice(0, -1).reduce((sum, bit, place) => sum + (bit << place), 0);
    return isEven && number < count ? number : null;
  };
  const faceIn = (video) => {
    const scale = video.videoWidth / 640;
    crop.drawImage(video, ...face.map((length) => length * scale), 0, 0, face[2], face[3]);
    const { data } = crop.getImageData(0, 0, face[2], face[3]);
    return Float32Array.from({ length: data.length / 4 }, (_, at) => 0.299 * data[4 * at] + 0.587 * data[4 * at + 1] + 0.114 * data[4 * at + 2]);
  };
  const psnr = (a, b) => 10 * Math.log10(255 ** 2 / (a.reduce((sum, value, at) => sum + (value - b[at]) ** 2, 0) / a.length));

  const watch = (id, take) => {
    const video = document.getElementById(id);
    const next = (now) => {
      const number = numberIn(video);
      if (number !== null) take(number, now, video);
      video.requestVideoFrameCallback(next);
    };
    video.requestVideoFrameCallback(next);
  };
  watch("camera", (number, now, video) => {
    if (!cameraTimes.has(number) || now - cameraTimes.get(number) > 1000) cameraTimes.set(number, now);
    if (number % 15 === 0) cameraFaces.set(number, faceIn(video));
    if (newest !== null) seen.ages.push((((number - newest + count) % count) * 1000) / rate);
  });
  watch("output", (number, now, video) => {
    if (number === newest) return; // the server repeats one that is late
    if (newest !== null) seen.gaps.push(now - newestTime);
    [newest, newestTime] = [number, now];
    const since = now - (cameraTimes.get(number) ?? -Infinity);
    if (since < (900 * count) / rate) seen.latencies.push(since); // else the camera's picture left it out this time
    if (number % 15 === 0 && cameraFaces.has(number)) seen.psnr.push(psnr(faceIn(video), cameraFaces.get(number)));
    if (frames.length < kept) {
      const canvas = Object.assign(document.createElement("canvas"), { width: video.videoWidth, height: video.videoHeight });
      canvas.getContext("2d").drawImage(video, 0, 0);
      frames.push([number, canvas.toDataURL("image/png")]);
      if (frames.length === kept) full();
    }
  });
  window.probe = {
    /** Returns what was seen since the last call, and the next frames of the swapped picture. */
    async take(more) {
      const taken = { ...seen };
      for (const key of Object.keys(seen)) seen[key] = [];
      [frames, kept] = [[], more];
      if (more) await new Promise((done) => (full = done));
      return { ...taken, kept: frames };
    },
  };
};
