"""HTML pages made of one base template."""

from faceaffect.pages.render import missing_packages, render_page, write_page

__all__ = ["missing_packages", "render_page", "write_page"]
