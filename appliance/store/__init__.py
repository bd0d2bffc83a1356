"""What the station knows: patients, measurements, consults and answers as rows, and the way up as rows beside them."""
