"""Captions in other words, by a language model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

from aligncap.captions.facts import Facts
from aligncap.captions.grammar import WORDS_MAX, WORDS_MIN
from aligncap.errors import AlignCapError

__all__ = ["API_KEY_VARIABLE", "EndpointRewriter"]

API_KEY_VARIABLE = "ALIGNCAP_API_KEY"
_SYSTEM = (
    "You rewrite descriptions of the emotion heard in a voice. Keep the meaning exactly: the same emotions, as strong "
    "and as certain as before, and the same features of the voice. Add nothing: no cause, event, place, person, age or "
    "sex. "
    f"Answer with the new description alone, in English, in one or two sentences of {WORDS_MIN} to {WORDS_MAX} words."
)
_ATTEMPTS = 4
_TIMEOUT_S = 60.0
_MAX_BYTES = 1_000_000
_BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


class EndpointRewriter:
    """Asks ``POST URL/chat/completions`` for another wording of a caption.

    The key, where the endpoint wants one, is read from the environment variable ``ALIGNCAP_API_KEY``; it is sent to
    that endpoint alone (redirects are not followed) and appears in no message. Only the caption is sent.

    Args:
        url: of the endpoint, such as ``http://localhost:8000/v1``.
        model: name of the model, as the endpoint knows it.
        seed: sent along; endpoints are free to ignore it.
        sleep: waits between attempts, seconds.

    Raises:
        AlignCapError: the URL is not one of http or https.
    """

    def __init__(self, url: str, model: str, *, seed: int = 0, sleep: Callable[[float], None] = time.sleep) -> None:
        import requests

        if not url.startswith(("http://", "https://")):
            raise AlignCapError(f"{url}: not the URL of an endpoint: it begins with http:// or https://")
        self._url = url.rstrip("/") + "/chat/completions"
        self._model = model
        self._seed = seed
        self._sleep = sleep
        self._session = requests.Session()
        key = os.environ.get(API_KEY_VARIABLE, "").strip()
        # given as a function even where there is no key: else requests would look for one in ~/.netrc
        self._session.auth = lambda request: _authorised(request, key)

    def __call__(self, caption: str, facts: Facts) -> str | None:
        """Another wording; None where the answer is empty, or of another form than a caption.

        Raises:
            AlignCapError: the endpoint cannot be reached, refuses, stays busy, or does not answer as it should.
        """
        messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": caption}]
        answer = self._post({"model": self._model, "messages": messages, "temperature": 0.9, "seed": self._seed})
        try:
            content = answer["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError):
            raise AlignCapError(f"{self._url}: its answer holds no choices[0].message.content") from None
        text = " ".join(content.split()).strip('"“” ') if isinstance(content, str) else ""
        well_formed = text.endswith(".") and text[0].isupper() and WORDS_MIN <= len(text.split()) <= WORDS_MAX
        return text if well_formed and text != caption else None

    def _post(self, request: dict[str, Any]) -> Any:
        import requests

        problem = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._sleep(2.0**attempt)
            try:
                with self._session.post(
                    self._url, json=request, timeout=_TIMEOUT_S, allow_redirects=False, stream=True
                ) as response:
                    if response.status_code == requests.codes.ok:
                        return self._read(response)
                    problem = f"status {response.status_code}"
                    if response.status_code not in _BUSY:
                        break
            except requests.RequestException as error:
                problem = type(error).__name__
        hint = f" (is {API_KEY_VARIABLE} set?)" if problem in {"status 401", "status 403"} else ""
        raise AlignCapError(f"{self._url}: no answer: {problem}{hint}")

    def _read(self, response: Any) -> Any:
        """The JSON of an answer of reasonable length."""
        body = b""
        for part in response.iter_content(65536):
            body += part
            if len(body) > _MAX_BYTES:
                raise AlignCapError(f"{self._url}: its answer is longer than {_MAX_BYTES} bytes")
        try:
            return json.loads(body)
        except ValueError:
            raise AlignCapError(f"{self._url}: its answer is not JSON") from None


def _authorised(request: Any, key: str) -> Any:
    if key:
        request.headers["Authorization"] = f"Bearer {key}"
    return request
