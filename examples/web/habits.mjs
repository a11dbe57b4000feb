// What a model tends to write, by which decoding guesses ahead: aligncap.captions.habits.

const CONTEXT = 4,
  MOST = 5,
  LIKELY = 0.5;

/** Guesses how a response goes on; a guess never changes what is written. */
export class Phrases {
  #next = new Map();

  /** responses: arrays of tokens, with those that end them. */
  constructor(responses) {
    const followers = new Map();
    for (const tokens of responses) {
      for (let place = 1; place < tokens.length; place++) {
        for (let context = 1; context <= Math.min(CONTEXT, place); context++) {
          const key = tokens.slice(place - context, place).join();
          if (!followers.has(key)) followers.set(key, new Map());
          const counts = followers.get(key);
          counts.set(tokens[place], (counts.get(tokens[place]) ?? 0) + 1);
        }
      }
    }
    for (const [context, counts] of followers) {
      const [token, count] = [...counts].reduce((a, b) =>
        b[1] > a[1] || (b[1] === a[1] && b[0] < a[0]) ? b : a,
      );
      const total = [...counts.values()].reduce((sum, each) => sum + each, 0);
      this.#next.set(context, [token, count / total]);
    }
  }

  /** The tokens that probably follow. */
  ahead(written) {
    let recent = written.slice(-CONTEXT),
      likely = 1,
      found;
    const guess = [];
    while (guess.length < MOST && (found = this.#after(recent))) {
      likely *= found[1];
      if (likely < LIKELY) break;
      guess.push(found[0]);
      recent = [...recent.slice(1 - CONTEXT), found[0]];
    }
    return guess;
  }

  #after(recent) {
    for (let start = 0; start < recent.length; start++) {
      const found = this.#next.get(recent.slice(start).join());
      if (found) return found;
    }
    return undefined;
  }
}

/** The chosen tokens up to the first that was not guessed, or that ends the response. */
export function agreed(chosen, guess, ends) {
  const place = chosen.findIndex(
    (token, at) => at === guess.length || token !== guess[at] || ends.includes(token),
  );
  return chosen.slice(0, place + 1);
}
