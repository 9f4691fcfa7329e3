"""Server-rendered pages; each page's context is a dataclass, and templates compute nothing."""
