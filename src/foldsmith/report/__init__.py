"""One self-contained HTML file per evaluation."""
