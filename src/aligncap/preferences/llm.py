"""A language model behind an OpenAI-compatible endpoint as a judge of two captions.

It is asked twice, with the captions in either order, and its choice counts where both answers agree. Its choices are
votes (see `aligncap.preferences.votes`) of a rater whose name begins with ``llm:``.
"""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from aligncap.captions.rewrite import API_KEY_VARIABLE
from aligncap.errors import AlignCapError
from aligncap.preferences.votes import LLM, Vote

if TYPE_CHECKING:
    from aligncap.evaluation.hallucination import Evidence

__all__ = ["EndpointJudge", "JudgeFailed", "Question", "votes_of"]

_MAX_BYTES = 1_000_000
_GIVE_UP = 5
_OBJECT = re.compile(r"\{[^{}]*\}")
_LEVELS_NONE = "nothing out of the ordinary"


class JudgeFailed(AlignCapError):  # noqa: N818 (named for what happened)
    """A question was not answered.

    Args:
        kind: ``timeout``, ``unreachable``, ``status``, ``html`` or ``nonsense``.
        message: in words.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Question:
    """Two captions to choose from.

    Attributes:
        id: of the clip.
        instruction: that both answer.
        a: a caption.
        b: another.
        evidence: what is known about the clip.
    """

    id: str
    instruction: str
    a: str
    b: str
    evidence: Evidence

    @property
    def key(self) -> tuple[str, str, frozenset[str]]:
        """What makes it the same question again."""
        return (self.id, self.instruction, frozenset((self.a, self.b)))


class EndpointJudge:
    """Asks ``POST URL/chat/completions`` which of two captions is better.

    The key, where the endpoint wants one, is read from the environment variable ``ALIGNCAP_API_KEY``; it is sent to
    that endpoint alone (redirects are not followed). Sent are the instruction, the emotions that listeners hear, the
    measured voice and both captions; no recording, transcript or name.

    Args:
        url: of the endpoint, such as ``http://localhost:8000/v1``.
        model: name of the model, as the endpoint knows it.
        timeout: seconds for each answer.

    Raises:
        AlignCapError: the URL is not one of http or https.
    """

    def __init__(self, url: str, model: str, *, timeout: float = 60.0) -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise AlignCapError(f"{url}: not the URL of an endpoint: it begins with http:// or https://")
        self.rater = LLM + model
        self._url = url.rstrip("/") + "/chat/completions"
        self._model = model
        self._timeout = timeout
        self._opener = urllib.request.build_opener(_NoRedirects)

    def __call__(self, question: Question) -> Vote:
        """Its vote; a tie where the two answers differ.

        Raises:
            JudgeFailed: an answer did not come, or is none.
        """
        first, reason = self._ask(question, question.a, question.b)
        second, _ = self._ask(question, question.b, question.a)
        back = {"A": "B", "B": "A", "tie": "tie"}[second]
        choice = {"A": "a", "B": "b", "tie": "tie"}[first] if first == back else "tie"
        return Vote(question.id, question.a, question.b, choice, self.rater, question.instruction, reason)

    def _ask(self, question: Question, first: str, second: str) -> tuple[str, str]:
        evidence = question.evidence
        emotions = ", ".join(f"{label} {share:.0%}" for label, share in evidence.emotions) or "not known"
        voice = ", ".join(f"{dimension} {level}" for dimension, level in evidence.voice or ())
        text = _prompt()["user"].format(
            instruction=question.instruction,
            emotions=emotions,
            voice=voice or ("not measured" if evidence.voice is None else _LEVELS_NONE),
            first=json.dumps(first, ensure_ascii=False),
            second=json.dumps(second, ensure_ascii=False),
        )
        messages = [{"role": "system", "content": _prompt()["system"]}, {"role": "user", "content": text}]
        body = self._post({"model": self._model, "messages": messages, "temperature": 0})
        return _choice_in(body)

    def _post(self, content: dict[str, Any]) -> bytes:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(API_KEY_VARIABLE, "").strip():
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self._url, json.dumps(content).encode(), headers)
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                body: bytes = response.read(_MAX_BYTES + 1)
        except urllib.error.HTTPError as error:
            hint = f" (is {API_KEY_VARIABLE} set?)" if error.code in (401, 403) else ""
            raise JudgeFailed("status", f"{self._url}: status {error.code}{hint}") from None
        except OSError as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(reason, TimeoutError):
                raise JudgeFailed("timeout", f"{self._url}: no answer within {self._timeout:g} s") from None
            raise JudgeFailed("unreachable", f"{self._url}: cannot be reached ({type(reason).__name__})") from None
        except (ValueError, HTTPException) as error:
            raise JudgeFailed("nonsense", f"{self._url}: it does not speak HTTP ({type(error).__name__})") from None
        if len(body) > _MAX_BYTES:
            raise JudgeFailed("nonsense", f"{self._url}: an answer longer than {_MAX_BYTES} bytes")
        return body


def votes_of(
    judge: Callable[[Question], Vote],
    questions: Iterable[Question],
    done: Collection[tuple[str, str, frozenset[str]]],
    on_problem: Callable[[str, str], None],
) -> Iterator[Vote]:
    """The judge's votes, one at a time; questions that were answered before are passed over.

    Args:
        judge: such as `EndpointJudge`.
        questions: in order.
        done: `Question.key` of those that were answered.
        on_problem: told of each question without an answer: the failure's kind, and a line.

    Raises:
        AlignCapError: five questions in a row had no answer.
    """
    failed = 0
    for question in questions:
        if question.key in done:
            continue
        try:
            vote = judge(question)
        except JudgeFailed as error:
            failed += 1
            on_problem(error.kind, f"{question.id}: {error}")
            if failed == _GIVE_UP:
                raise AlignCapError(
                    f"no answer to {_GIVE_UP} questions in a row: {error}; what was judged is kept, and the same "
                    "command goes on from there"
                ) from None
            continue
        failed = 0
        yield vote


def _choice_in(body: bytes) -> tuple[str, str]:
    """Choice (A, B or tie) and reason in the endpoint's answer.

    Raises:
        JudgeFailed: there is none.
    """
    if body.lstrip()[:1] == b"<":
        raise JudgeFailed("html", "the answer is a web page, not JSON: is the URL that of an API, often ending in /v1?")
    try:
        content = json.loads(body)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError):
        raise JudgeFailed("nonsense", "the answer holds no choices[0].message.content") from None
    for found in _OBJECT.findall(content if isinstance(content, str) else ""):
        try:
            said = json.loads(found)
        except ValueError:
            continue
        choice = str(said.get("choice", "")).strip()
        choice = "tie" if choice.lower() == "tie" else choice.upper()
        if choice in ("A", "B", "tie"):
            return choice, " ".join(str(said.get("reason", "")).split())[:300]
    raise JudgeFailed("nonsense", f"the model names no choice: {str(content)[:80]!r}")


@cache
def _prompt() -> dict[str, str]:
    text = resources.files(__package__).joinpath("judge_prompt.yaml").read_text(encoding="utf-8")
    content: dict[str, str] = yaml.safe_load(text)
    return content


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The key is for one endpoint alone."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow none: the status becomes an error."""
        return
