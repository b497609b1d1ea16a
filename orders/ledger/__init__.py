"""What people look up, in PostgreSQL: all the SQL of the product stands in this package."""
