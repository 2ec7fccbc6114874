select 1; -- its owner writes it
