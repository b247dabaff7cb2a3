"""Tests of `infra/local/celery/find_application.py`, as far as it imports nothing of the application.

    python3 -m unittest test_find_application
"""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "infra" / "local" / "celery"))
import find_application  # noqa: E402

APP = "from celery import Celery\napp = Celery('shop')\n"


class Choose(unittest.TestCase):
    def chosen(self, files: dict[str, str]) -> str:
        """The application that is chosen in a folder with these files."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for path, text in files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(text)
            return find_application.choose(folder, find_application.source_root(folder))

    def test_takes_the_module_that_makes_the_application(self) -> None:
        self.assertEqual(self.chosen({"shop/celery.py": APP, "shop/views.py": "app = 1"}), "shop.celery:app")
        self.assertEqual(self.chosen({"jobs.py": APP.replace("app =", "queue: Celery =")}), "jobs:queue")

    def test_prefers_the_usual_names(self) -> None:
        self.assertEqual(self.chosen({"celery_config.py": APP, "legacy.py": APP}), "celery_config:app")
        self.assertEqual(self.chosen({"worker.py": APP, "shop/app.py": APP}), "worker:app")

    def test_looks_into_src_and_not_into_environments(self) -> None:
        files = {"src/shop/celery.py": APP, "src/venv/pyvenv.cfg": "", "src/venv/celery_app.py": APP}
        self.assertEqual(self.chosen(files), "shop.celery:app")

    def test_takes_what_a_factory_makes_if_nothing_else_is_there(self) -> None:
        files = {"main.py": "celery = make_celery(app)\n", "broken.py": "def"}
        self.assertEqual(self.chosen(files), "main:celery")

    def test_names_the_candidates_when_none_stands_out(self) -> None:
        with self.assertRaisesRegex(find_application.Problem, "--celery-app, one of one:app, two:app"):
            self.chosen({"one.py": APP, "two.py": APP})
        with self.assertRaisesRegex(find_application.Problem, "--celery-app MODULE:APP"):
            self.chosen({"one.py": "x = 1"})


if __name__ == "__main__":
    unittest.main()
