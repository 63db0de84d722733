"""The settling rules, row by row."""

from __future__ import annotations

import pytest

from crawler.model import Outcome, Standing, State, Verdict
from crawler.settle import MAX_CUTS, MAX_NAME_TRIES, MAX_TRIES, SECOND_LOOK, Answer, Ruling, rule


def answer(status: int = 200, attempt: int = 0, **facts: object) -> Ruling:
    known = {"outcome": Outcome.OK, "verdict": Verdict.OK, **facts}
    return rule(Answer(status=status, attempt=attempt, **known))  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [200, 204, 206, 304])
def test_an_answer_is_captured_and_read(status: int) -> None:
    ruling = answer(status)
    assert (ruling.state, ruling.standing, ruling.read, ruling.attempt) == (State.DONE, Standing.CAPTURED, True, False)


@pytest.mark.parametrize("status", [400, 404, 410])
def test_something_named_and_missing_gets_one_second_look(status: int) -> None:
    first, second = answer(status), answer(status, attempt=1)
    assert (first.state, first.reason, first.attempt) == (State.QUEUED, SECOND_LOOK, True)
    assert (second.state, second.standing, second.read, second.attempt) == (State.DONE, Standing.MISSING, False, False)


def test_a_hole_in_a_sweep_is_final_at_once() -> None:
    ruling = answer(404, sweep=True)
    assert (ruling.state, ruling.standing, ruling.reason) == (State.DONE, Standing.VACANT, "hole")
    refused = answer(401, sweep=True)
    assert (refused.state, refused.standing, refused.attempt) == (State.DONE, Standing.REFUSED, True)


@pytest.mark.parametrize("status", [405, 451, 418])
def test_other_client_errors_are_final(status: int) -> None:
    assert (answer(status).state, answer(status).standing) == (State.DONE, Standing.MISSING)


def test_a_soft_404_counts_as_missing() -> None:
    assert answer(200, attempt=1, verdict=Verdict.MISSING).standing is Standing.MISSING


@pytest.mark.parametrize("status", [401, 403])
def test_forbidden_is_parked_after_a_second_look(status: int) -> None:
    assert answer(status).state is State.QUEUED
    parked = answer(status, attempt=1)
    assert (parked.state, parked.standing, parked.attempt) == (State.PARKED, Standing.REFUSED, True)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 599])
def test_trouble_waits_and_is_parked_in_the_end_but_never_dropped(status: int) -> None:
    for attempt in range(MAX_TRIES - 1):
        ruling = answer(status, attempt=attempt)
        assert (ruling.state, ruling.attempt) == (State.QUEUED, True)
        assert ruling.wait > 0
    assert answer(status, attempt=MAX_TRIES - 1).state is State.PARKED


@pytest.mark.parametrize("verdict", [Verdict.LIMITED, Verdict.TOMBSTONE])
def test_a_200_that_is_none_waits_among_the_attempts(verdict: Verdict) -> None:
    ruling = answer(200, verdict=verdict)
    assert (ruling.state, ruling.attempt, ruling.read) == (State.QUEUED, True, False)


def test_a_redirect_is_final_and_its_target_new_work() -> None:
    assert answer(302, location=True).redirect
    assert answer(302, location=True).state is State.DONE


def test_a_redirect_the_spider_wants_to_read_is_not_followed() -> None:
    ruling = answer(302, location=True, follow=False)
    assert (ruling.redirect, ruling.read) == (False, True)


def test_a_cut_body_is_tried_three_times_and_then_kept_as_partial() -> None:
    cut = {"outcome": Outcome.CUT, "truncated": "disconnect"}
    for attempt in range(MAX_CUTS - 1):
        assert answer(200, attempt=attempt, **cut).state is State.QUEUED
    last = answer(200, attempt=MAX_CUTS - 1, **cut)
    assert (last.state, last.standing, last.read) == (State.DONE, Standing.PARTIAL, True)


def test_what_is_longer_than_we_take_is_not_asked_for_again() -> None:
    ruling = answer(200, outcome=Outcome.OK, truncated="length")
    assert (ruling.state, ruling.standing, ruling.read) == (State.DONE, Standing.PARTIAL, True)


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.TIMEOUT, Outcome.CUT, Outcome.PROXY])
def test_no_answer_waits(outcome: Outcome) -> None:
    assert answer(0, outcome=outcome).state is State.QUEUED
    assert answer(0, outcome=outcome, attempt=MAX_TRIES - 1).state is State.PARKED


@pytest.mark.parametrize("outcome", [Outcome.DNS, Outcome.TLS, Outcome.PROTOCOL])
def test_a_bad_name_or_certificate_is_parked_sooner(outcome: Outcome) -> None:
    assert answer(0, outcome=outcome, attempt=MAX_NAME_TRIES - 1).state is State.PARKED


def test_a_private_address_is_never_asked_again() -> None:
    assert answer(0, outcome=Outcome.FORBIDDEN_ADDRESS).state is State.EXCLUDED


def test_what_calls_itself_private_is_excluded() -> None:
    assert answer(200, verdict=Verdict.PRIVATE).state is State.EXCLUDED
