// Records from the microphone, until it is stopped or has gone on for as long as the server takes.

export class Recorder {
  /** told: {started(), ticked(seconds), ended(file), failed(message)} */
  constructor(told) {
    this.told = told;
    this.recorder = null;
    this.longest = 600;
  }

  get active() {
    return this.recorder !== null;
  }

  async start() {
    let stream;
    try {
      if (!navigator.mediaDevices || !window.MediaRecorder) throw new Error("this browser cannot record here; recording needs https or localhost");
      stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
    } catch (error) {
      const why = { NotAllowedError: "the browser does not allow it: allow the microphone for this page", NotFoundError: "there is no microphone" }[error.name] || error.message;
      this.told.failed(`Recording is not possible: ${why}.`);
      return;
    }
    const parts = [];
    const recorder = new MediaRecorder(stream);
    const began = performance.now();
    const clock = setInterval(() => {
      const passed = (performance.now() - began) / 1000;
      this.told.ticked(passed);
      if (passed > this.longest - 1) this.stop();
    }, 100);
    recorder.addEventListener("dataavailable", (event) => event.data.size && parts.push(event.data));
    recorder.addEventListener("stop", () => {
      clearInterval(clock);
      stream.getTracks().forEach((track) => track.stop());
      this.recorder = null;
      const type = recorder.mimeType.split(";")[0];
      const suffix = { "audio/webm": "webm", "audio/ogg": "ogg", "audio/mp4": "m4a" }[type] || "bin";
      this.told.ended(new File(parts, `recording.${suffix}`, { type }));
    });
    this.recorder = recorder;
    recorder.start();
    this.told.started();
  }

  stop() {
    if (this.recorder && this.recorder.state !== "inactive") this.recorder.stop();
  }
}
