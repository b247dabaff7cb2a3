"""Tests of the comparison: `python3 -m unittest`."""

import unittest
from typing import Any

from compare import compare, same


class Comparison(unittest.TestCase):
    """What counts as a problem."""

    def problems(self, wanted: Any, found: Any, listed: list[Any] | None = None) -> int:
        known = {} if listed is None else {"case": listed}
        return len(compare({"case": wanted}, {"case": found}, known))

    def test_equal_outcomes(self) -> None:
        self.assertEqual(self.problems({"a": 1, "b": 2}, {"b": 2, "a": 1}), 0)

    def test_an_unlisted_difference(self) -> None:
        self.assertEqual(self.problems(1, 2), 1)

    def test_a_listed_difference(self) -> None:
        self.assertEqual(self.problems(1, 2, [2]), 0)

    def test_another_difference_than_the_listed_one(self) -> None:
        self.assertEqual(self.problems(1, 3, [2]), 1)

    def test_a_listed_difference_that_is_none(self) -> None:
        self.assertEqual(self.problems(1, 1, [2]), 1)
        self.assertEqual(self.problems(1, 1, [1]), 1)

    def test_a_difference_that_may_come_or_not(self) -> None:
        self.assertEqual(self.problems(1, 1, [2, 1]), 0)
        self.assertEqual(self.problems(1, 2, [2, 1]), 0)

    def test_a_skipped_case(self) -> None:
        self.assertEqual(self.problems(1, {"skipped": "why"}), 0)

    def test_other_cases(self) -> None:
        self.assertEqual(len(compare({"a": 1}, {"b": 1}, {})), 1)
        self.assertEqual(len(compare({"a": 1, "b": 1}, {"b": 1, "a": 1}, {})), 1)
        self.assertEqual(len(compare({"a": 1}, {"a": 1}, {"b": [1]})), 1)

    def test_numbers_and_booleans_are_apart(self) -> None:
        self.assertFalse(same(1, 1.0))
        self.assertFalse(same(1, True))


if __name__ == "__main__":
    unittest.main()
