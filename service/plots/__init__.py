"""The pictures of a study as SVG and PNG, by matplotlib and without a display: data in, bytes out."""
