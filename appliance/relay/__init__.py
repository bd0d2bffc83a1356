"""The relay: outbox, inbox, lanes, parcels, receipts as rules without I/O, the same at both ends; storage is given."""
