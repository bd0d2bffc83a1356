"""`make prove`: the delivery contract under kills, power cuts, broken brokers and thousands of histories; one page says what was done."""
