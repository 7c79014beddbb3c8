"""Interactive pages in one HTML file: a lesson on Q-learning, and a window into a run's agents."""

from jaxq.view.lesson import train_lesson
from jaxq.view.page import view_page
from jaxq.view.run_data import run_data

__all__ = ["run_data", "train_lesson", "view_page"]
