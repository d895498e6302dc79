"""Hotel (酒店): rooms and their states, cleaning, orders and complaints, catering, meetings, shifts."""
