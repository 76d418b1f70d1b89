"""How far an epoch is, in a terminal or a notebook."""

import sys
import time


class Progress:
    """A line that is rewritten; tqdm's bar where tqdm is installed, which knows notebooks."""

    def __init__(self, title, total, show):
        self._bar, self._line = None, False
        self._title, self._total, self._done = title, total, 0
        self._shown = 0.0
        if not show:
            return
        try:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=total, desc=title, leave=True)
        except ImportError:
            self._line = True

    def update(self, values):
        """One batch more."""
        self._done += 1
        text = {name: f"{value:.4g}" for name, value in values.items()}
        if self._bar is not None:
            self._bar.set_postfix(text, refresh=False)
            self._bar.update(1)
        elif self._line and (time.monotonic() - self._shown > 0.1 or self._done == self._total):
            self._shown = time.monotonic()
            of = f"/{self._total}" if self._total is not None else ""
            values = "  ".join(f"{name} {value}" for name, value in text.items())
            sys.stderr.write(f"\r{self._title} {self._done}{of}  {values}\x1b[K")
            sys.stderr.flush()

    def close(self, values):
        """The end, with the numbers of the epoch."""
        if self._bar is not None:
            self._bar.set_postfix({name: f"{value:.4g}" for name, value in values.items()})
            self._bar.close()
        elif self._line:
            sys.stderr.write("\n")
