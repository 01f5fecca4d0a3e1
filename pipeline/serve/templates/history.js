// States that can be undone and done again.
const TOGETHER = 1000; // milliseconds in which changes of one kind count as one

export class History {
  constructor(state) {
    this.states = [state];
    this.at = 0;
    this.kind = "";
    this.time = 0;
  }

  get state() {
    return this.states[this.at];
  }

  change(state, kind = "") {
    const together = kind && kind === this.kind && Date.now() - this.time < TOGETHER;
    this.states.splice(together ? this.at : ++this.at, Infinity, state);
    this.kind = kind;
    this.time = Date.now();
  }

  can(steps) {
    return this.at + steps in this.states;
  }

  // Undo one step, -1, or do it again, 1, and return whether there was one.
  go(steps) {
    if (!this.can(steps)) return false;
    this.at += steps;
    this.kind = "";
    return true;
  }
}
