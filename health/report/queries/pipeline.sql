-- How old all of it is.
select * from {{ models }}.pipeline_freshness
