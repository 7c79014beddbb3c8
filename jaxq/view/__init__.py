"""The interactive page: a lesson on Q-learning, trained for real and shown in one HTML file."""

from jaxq.view.lesson import train_lesson
from jaxq.view.page import view_page

__all__ = ["train_lesson", "view_page"]
