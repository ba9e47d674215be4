"""What people read: numbers with their errors, figures, Markdown, one-page HTML, notebooks."""
