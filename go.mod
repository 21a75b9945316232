module github.com/biocore-id/biocore

go 1.26.0
