"""The findings of goldenbench itself: their studies, their training and the page that reports them."""
