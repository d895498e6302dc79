"""The permissions of the hotel."""

# See rooms, cleaning, orders, catering; the desk's work: arrivals, departures, complaints, meetings.
VIEW, DESK = "hotel.view", "hotel.desk"
# Clean rooms; lead housekeeping: plan, hand out, check.
CLEAN, HOUSEKEEPING = "hotel.clean", "hotel.housekeeping"
# Report a defect; repair; check what was repaired and free the room (a supervisor's word).
REPORT, REPAIR, CHECK = "hotel.report", "hotel.repair", "hotel.check"
# Catering records; set-up of places, facilities and codes for guests; close rooms.
CATERING, SETUP = "hotel.catering", "hotel.setup"
