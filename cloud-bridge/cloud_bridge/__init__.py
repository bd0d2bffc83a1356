"""The cloud side of Trạm: takes what the boxes send, shows it to the doctor on duty, sends the answer back."""
