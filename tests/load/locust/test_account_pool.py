"""Accounts of a users file: each is one Locust user's, and comes back."""

from __future__ import annotations

from softphone.load.locust.account_pool import AccountPool


def test_each_account_is_given_out_once_and_in_order():
    pool = AccountPool(3)
    assert [pool.take("a"), pool.take("b"), pool.take("a"), pool.take("a")] == [0, 1, 2, None]


def test_an_account_that_comes_back_is_given_out_again():
    pool = AccountPool(2)
    assert pool.take("a") == 0
    pool.give_back(0, "a")
    assert pool.take("b") == 0


def test_only_who_has_an_account_gives_it_back():
    pool = AccountPool(1)
    assert pool.take("a") == 0
    pool.give_back(0, "b")
    pool.give_back(7, "a")
    assert pool.take("b") is None


def test_accounts_of_workers_that_are_gone_are_free_again():
    pool = AccountPool(3)
    assert [pool.take("gone"), pool.take("here"), pool.take("gone")] == [0, 1, 2]
    pool.forget_others({"here"})
    assert {pool.take("here"), pool.take("here")} == {0, 2}
    assert pool.take("here") is None
    # What a worker that was thought gone gives back is another's now.
    pool.give_back(0, "gone")
    assert pool.take("here") is None
